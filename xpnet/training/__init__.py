"""Training: data and batches, the loop, `fit`, callbacks, history."""

from xpnet.training.loop import Training, TrainingOptions, TrainingState

__all__ = ["Training", "TrainingOptions", "TrainingState"]
