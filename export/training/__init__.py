"""How networks are trained: epochs, checkpoints, curves."""
