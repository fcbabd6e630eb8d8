"""How good is it? Inputs, fusions and baselines compared on the same splits."""
