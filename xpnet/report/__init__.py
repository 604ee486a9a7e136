"""Pictures of a training, and reports on one page."""
