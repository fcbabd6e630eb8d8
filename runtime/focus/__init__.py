"""Finding focus: sharpness of one frame, a sweep through z, and the model between sweeps."""
