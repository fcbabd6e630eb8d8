"""Placements to a live mosaic and its exports."""
