"""A folder a brand, all with the same file names, and one row each in `registry.py`.

A board meets the runtime's ports by shape. Its stage or light knows only the part of the board it
talks through; the board puts them together.
"""
