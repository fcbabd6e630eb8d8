"""Models that are installed on a device: one way in, two slots, a trial, and a way back."""
