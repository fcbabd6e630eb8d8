"""What the networks have to beat: linear support vector machines on LBP histograms."""
