"""Models on their way from an engineer's computer to devices: over ssh, or on a stick."""
