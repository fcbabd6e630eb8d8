"""One file a kind of board; each meets the runtime's Stage, Light and Turret by shape."""
