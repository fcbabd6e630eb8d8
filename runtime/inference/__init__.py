"""Signed model bundles, the sessions that run them, and the self-test of both."""
