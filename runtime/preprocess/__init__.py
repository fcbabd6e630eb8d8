"""The one definition of what a network sees: used alike by training, calibration and the device."""
