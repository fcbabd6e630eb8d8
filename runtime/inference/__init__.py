"""Signed model bundles, the sessions that run them, and the self-test that trusts neither."""
