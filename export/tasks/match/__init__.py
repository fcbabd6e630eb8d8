"""Matching the strips of neighbouring tiles: pairs, loss, metrics, and the model that is packed."""
