"""What the verbs of `nightscope` do; `runtime/cli.py` says how they are called."""
