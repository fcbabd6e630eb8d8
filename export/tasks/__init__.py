"""What a model is for, one file a task: its samples, loss, metrics and decisions."""
