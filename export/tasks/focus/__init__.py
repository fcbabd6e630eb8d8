"""Defocus from one frame: samples, loss, metrics, and the model that is packed."""
