"""The configuration of a network for defocus small enough for tests, from textures made up."""

CONFIG = """
task = "focus"
name = "tiny-focus"
version = "0.1.0"
licence = "none: made up"
inputs = ["image", "spectrum"]
side_px = 64
[optics]
na = [0.296, 0.304]
wavelength_um = [0.525, 0.535]
pixel_size_um = [0.485, 0.503]
sine = [0.195, 0.205]
source = 0.01
range_um = 12.0
[data]
planes = 4
beyond = 0
fields = 48
validation_fields = 12
[network]
widths = [8, 8]
dense = [16]
head = 8
[recipe]
epochs = 2
batch = 8
optimiser = "adamw"
schedule = "one-cycle"
learning_rate = 3e-3
threads = 1
"""
