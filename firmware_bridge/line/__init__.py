"""The serial line: one owner thread a port, and what can be wrong with a line."""
