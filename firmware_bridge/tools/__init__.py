"""What a technician uses to look at a line and to try a board."""
