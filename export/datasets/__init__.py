"""What networks are trained on: labelled sections, patches drawn from them, camera-like noise."""
