"""Explanations of mistakes that both the gradient check and the doctor's rules report."""

CS231N = "CS231n notes, Gradient checks"
BROADCASTING = "NumPy manual, Broadcasting"
RESHAPE_TARGETS = "targets = targets.reshape(-1, 1)   # the same shape as the outputs"

WHY = {
    "bias-per-sample": (
        "Every sample gets its own parameter, which can store its label: the loss can fall while "
        "nothing is learnt that applies to other samples. The gradient of a shared parameter is "
        "the sum over the batch."
    ),
    "gradient-activation-derivative": (
        "The error enters where this layer's delta is made, and spreads to every layer before it. "
        "The derivative of its activation is missing or wrong, or weights_next is left out or not "
        "transposed."
    ),
    "gradient-shape": (
        "A gradient has one number for each number of its parameter. NumPy broadcasts any other "
        "shape, which changes the parameter's shape or moves all its entries alike."
    ),
    "gradient-sign": (
        "Gradient descent subtracts the gradient; subtracting this one, every step climbs. The "
        "usual cause is (targets - outputs) where (outputs - targets) is meant."
    ),
    "gradient-zero": (
        "This parameter is never updated. Its gradient is not computed, or is cut off."
    ),
    "loss-broadcast": (
        "Targets (m,) met outputs (m, 1), and NumPy paired every output with every target. Each "
        "output is pulled towards all targets at once, so it can at best predict their mean."
    ),
    "non-finite": (
        "One NaN or infinity spreads through every sum it enters. After one step all weights are "
        "NaN."
    ),
}
