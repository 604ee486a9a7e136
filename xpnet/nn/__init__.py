"""The mathematics: activations, losses, initial weights, optimisers, schedules, the network.

To read it in one sitting: `activations`, `losses`, `network`, `optimizers`.
"""

from xpnet.nn import activations, initializers, losses, optimizers, schedules

__all__ = ["activations", "initializers", "losses", "optimizers", "schedules"]
