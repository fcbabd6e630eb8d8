"""Whole tiles against each other: what a scan is like before its positions are believed."""
