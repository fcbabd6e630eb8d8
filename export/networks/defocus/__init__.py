"""Networks that tell defocus."""
