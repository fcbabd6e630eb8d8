"""Offline work: data, networks, training, quantisation, packing. Torch lives here alone."""
