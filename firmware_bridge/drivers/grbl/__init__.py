"""GRBL 1.1 controllers."""
