"""Boards of others, emulated byte by byte on real pseudo-terminals, quirks included."""
