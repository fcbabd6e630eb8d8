"""Stitching: overlap strips to shifts, shifts to placements, placements to a live mosaic."""
