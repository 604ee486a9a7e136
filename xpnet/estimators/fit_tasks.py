"""scikit-learn's own callbacks, those of `set_callbacks`: a fit is a task, its epochs subtasks."""

from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from xpnet.training.loop import Training


@dataclass
class FitTasks:
    """The task of a fit that has begun; as a callback of training it reports the epochs."""

    context: Any  # sklearn.callback.CallbackContext
    given: dict[str, Any]  # to tell: estimator, X, y, metadata
    _epoch: Any = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.context.call_on_fit_task_begin(**self.given)

    def on_epoch_start(self, training: Training) -> None:
        """Begin an epoch's task."""
        self._epoch = self.context.subcontext("epoch")
        self._epoch.call_on_fit_task_begin(**self.given)

    def on_epoch_end(self, training: Training) -> None:
        """End it; callbacks may ask for the current estimator, or stop the training."""
        if self._epoch.call_on_fit_task_end(
            **self.given, reconstruction_attributes=lambda: {"network_": deepcopy(training.net)}
        ):
            training.stop("a callback of set_callbacks said so")

    def end(self) -> None:
        """End the fit's task."""
        self.context.call_on_fit_task_end(**self.given, reconstruction_attributes={})
