"""What the verbs of `nightscope` do; `runtime/cli/groups` says how they are called."""
