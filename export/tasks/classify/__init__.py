"""Models that say of a tile which class it is: trained, judged, guarded and described."""
