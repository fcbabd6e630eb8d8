"""From a trained model to a signed bundle and its card."""
