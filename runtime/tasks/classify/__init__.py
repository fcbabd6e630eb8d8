"""The task "classify": one label per picture, and whether to trust it."""
