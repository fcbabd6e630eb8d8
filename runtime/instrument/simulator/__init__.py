"""The simulated microscope: a specimen, its mechanics, its optics, and a log of the true state."""
