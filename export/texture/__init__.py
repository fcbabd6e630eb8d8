"""The table of LBP codes that every model carries: how it is made, and what it shows."""
