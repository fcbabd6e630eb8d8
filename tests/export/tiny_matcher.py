"""The configuration of a matcher small enough for tests; each adds what it learns from."""

CONFIG = """
task = "match"
name = "tiny-match"
version = "0.1.0"
licence = "none: made up"
[network]
stem = 8
widths = [8, 8, 8]
blocks = [1, 1, 1]
heads = 2
pairs = 1
fine = "offset"
similarity = "cosine"
[trained]
height_px = 32
width_px = 64
[packed]
height_px = 32
width_px = 96
"""
