"""Cameras, stages, lights and turrets that Micro-Manager drives, through its core, `pymmcore`."""
