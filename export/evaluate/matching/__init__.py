"""Matchers compared on neighbouring tiles whose true places are known, and on what is stitched
from their matches (`nightscope export demis-evaluate`).
"""
