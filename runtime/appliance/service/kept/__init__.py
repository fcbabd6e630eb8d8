"""What the service keeps on disk, and who is told of it: queue, tokens, what happened."""
