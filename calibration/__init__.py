"""Calibration routines for technicians, and the dated registry of their results."""
