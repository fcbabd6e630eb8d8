"""Technicians' routines and the dated registry of what they found."""
