"""Files: networks, models and checkpoints."""
