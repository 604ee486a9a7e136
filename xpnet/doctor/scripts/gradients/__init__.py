"""Measure a script's gradients, and conclude what is wrong with them."""
