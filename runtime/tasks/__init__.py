"""The tasks that models can be made for, a room each."""
