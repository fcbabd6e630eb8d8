"""Signed defocus from one frame under an off-axis LED."""
