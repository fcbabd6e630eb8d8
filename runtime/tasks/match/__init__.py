"""Matching the border strips of neighbouring tiles cell by cell."""
