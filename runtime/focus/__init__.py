"""Finding focus: sharpness of one frame, a sweep through z, and the surface between sweeps."""
