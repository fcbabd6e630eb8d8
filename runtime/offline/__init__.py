"""The runtime's stages on folders of images, without an instrument."""
