"""The simulated microscope: a specimen, its mechanics, its optics and a witness of the truth."""
