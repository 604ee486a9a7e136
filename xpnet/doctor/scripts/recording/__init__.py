"""Run a script as Python would, and record what it computes."""
