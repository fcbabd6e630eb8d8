"""A run's results as data that other programs read: tables, shapes, label images, metadata."""
