"""What a model means: one file a task."""
