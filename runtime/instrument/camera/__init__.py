"""Where frames come from: a live device, or a recorded scan. The simulated one is `simulator`."""
