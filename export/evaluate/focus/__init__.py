"""Networks for defocus compared on whole frames of specimens that they were not trained on."""
