"""Sangaboards."""
