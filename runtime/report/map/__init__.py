"""The map of a report: the mosaic, what lies on it, and where things of the stage lie there."""
