"""Two overlap strips to a shift, or to the knowledge that there is none."""
