"""Boards that speak our own protocol."""
