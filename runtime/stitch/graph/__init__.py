"""Shifts and stage positions to placements."""
