"""What calibrations say of this microscope, as a run relies on them."""
