"""Pictures under one off-axis LED, at known distances from focus, by the simulator's waves."""
