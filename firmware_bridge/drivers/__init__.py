"""A board a file, its stage and light beside it; each meets the runtime's ports by shape.

A stage or light knows only the part of its board it talks through; the board puts them together.
"""
