"""The baselines of an evaluation: linear support vector machines on LBP histograms."""
