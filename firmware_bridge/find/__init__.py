"""Which board is on which port."""
