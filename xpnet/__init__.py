"""The neural network you would have written by hand, done right."""

__version__ = "0.1.0"
