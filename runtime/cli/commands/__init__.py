"""What the verbs of `nightscope` do; `runtime/cli/verbs.py` says how they are called."""
