"""Lines of text with boards that number nothing."""
