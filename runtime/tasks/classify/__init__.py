"""What is it? One label per picture, and whether to believe it."""
