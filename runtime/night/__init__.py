"""One run, from its first move to its report."""
