"""The doctor's rules about code: shapes, formulas, gradients and updates that are wrong.

They come before those of `xpnet.doctor.rules.catalogue`, which see what follows from them.
"""

from xpnet.doctor.rules import data, loss, steps
from xpnet.doctor.rules import outcome as training
from xpnet.doctor.rules.rule import DIAGNOSIS, RECIPE, Rule

RULES_OF_CODE = (
    Rule(
        "non-finite", data.not_finite, 0, "error",
        "One NaN or infinity spreads through every sum it enters. After one step all weights are "
        "NaN.",
        "keep = numpy.isfinite(x).all(axis=1); x, y = x[keep], y[keep]   # and no log(0) or 0 / 0",
        DIAGNOSIS,
    ),
    Rule(
        "loss-broadcast", loss.loss_broadcast, 0, "error",
        "Targets (m,) met outputs (m, 1), and NumPy paired every output with every target. Each "
        "output is pulled towards all targets at once, so it can at best predict their mean.",
        "targets = targets.reshape(-1, 1)   # the same shape as the outputs",
        "NumPy manual, Broadcasting",
    ),
    Rule(
        "target-shape", loss.target_shape, 0, "",
        "Combining shapes such as (m,) and (m, 1), or (m, 1) and (m, K), raises no error: NumPy "
        "broadcasts them. The loss then compares outputs with targets that are not theirs.",
        "targets = targets.reshape(-1, 1)   # the same shape as the outputs",
        "NumPy manual, Broadcasting",
    ),
    Rule(
        "loss-broadcast", loss.class_number_loss, 0, "error",
        "Targets (m, 1) met outputs (m, K), and NumPy compared every output with the number of the "
        "class. All outputs of a sample are pulled towards that number.",
        "targets = numpy.eye(K)[labels.reshape(-1)]   # one-hot, the same shape as the outputs",
        "NumPy manual, Broadcasting",
    ),
    Rule(
        "softmax-axis", steps.softmax_axis, 1e-5, "error",
        "Softmax shares 1 among the outputs of each sample. Over another axis, the samples of a "
        "batch compete with each other.",
        "probabilities = e / e.sum(axis=1, keepdims=True)   # samples are rows; else axis=0",
        "SciPy, scipy.special.softmax (axis)",
    ),
    Rule(
        "output-activated-twice", steps.activated_twice, 0, "",
        "A sigmoid or softmax has to get sums of any size. What another activation has squeezed "
        "or cut off keeps the outputs away from 0 or 1, and the loss above a floor.",
        "outputs = sigmoid(z)   # or softmax(z): once, on z = inputs @ weights + biases",
        "PyTorch, CrossEntropyLoss (expects unnormalized logits)",
    ),
    Rule(
        "loss-wrong", loss.wrong_cross_entropy, 0, "",
        "A number that is not the loss of these predictions cannot tell whether they get better. "
        "If the gradient was derived from it, it leads astray as well.",
        "loss = -numpy.mean(t * numpy.log(p) + (1 - t) * numpy.log(1 - p))",
        "Goodfellow et al., Deep Learning, 6.2.2",
    ),
    Rule(
        "empty-batch", data.empty_batches, 0, "",
        "The mean over no rows is NaN, and nothing is learnt from them. A slice such as "
        "x[i:batch_size] is empty from the second batch on.",
        "batch = x[i : i + batch_size]   # with i in range(0, len(x), batch_size)",
        RECIPE + " (become one with the data)",
    ),
    Rule(
        "class-numbers", data.class_numbers, 0, "error",
        "Class k belongs to output k, counted from 0. A class beyond the last output can never be "
        "predicted, and its rows train nothing, or the wrong class.",
        "labels = labels - labels.min()   # classes 0 to outputs - 1",
        "PyTorch, CrossEntropyLoss (class indices in [0, C))",
    ),
    Rule(
        "gradient-shape", training.gradient_shape, 0, "error",
        "A gradient has one number for each number of its parameter. One of another shape belongs "
        "to another array, or moves all entries alike.",
        "gradient = inputs.T @ delta   # for weights (inputs, units); delta.sum(axis=0) for biases",
        "CS231n notes, Backpropagation, gradients for vectorized operations",
    ),
    Rule(
        "bias-per-sample", training.bias_per_sample, 0, "",
        "Every sample of a batch has its own bias, which can store its label. The network has "
        "nothing to give to samples in other places.",
        "biases = numpy.zeros((1, units))   # and its gradient summed over the batch",
        "CS231n notes, Backpropagation, gradients for vectorized operations",
    ),
    Rule(
        "gradient-wrong", steps.shared_error, 1e-6, "error",
        "The errors of all samples were summed into one number before the backward pass. No sample "
        "can then be pushed up while another is pushed down.",
        "delta = outputs - targets   # one per sample and output; sum only in gradients",
        "CS231n notes, Backpropagation, gradients for vectorized operations",
    ),
    Rule(
        "gradient-activation-derivative", steps.wrong_derivative, 0, "error",
        "The error enters where this layer's delta is made, and spreads to every layer before it. "
        "The derivative must be that of its activation, and written for what it is given: z, or "
        "a = f(z).",
        "delta = (delta_next @ weights_next.T) * derivative   # for a: a * (1 - a) for a sigmoid, "
        "1 - a**2 for tanh, a > 0 for a ReLU",
        "Nielsen, Neural networks and deep learning, 2015, chapter 2",
    ),
    Rule(
        "gradient-product", steps.wrong_product, 0, "error",
        "The error goes back through the transposed weights of the next layer, and meets the "
        "activations that entered this one. Square matrices hide a mistake here: the shapes fit.",
        "delta = (delta_next @ weights_next.T) * derivative; gradient = inputs.T @ delta",
        "Nielsen, Neural networks and deep learning, 2015, chapter 2 (BP2 and BP4)",
    ),
    Rule(
        "gradient-accumulated", steps.accumulated, 0, "",
        "They still contain the gradients of earlier steps. The steps grow, and point where the "
        "loss fell long ago.",
        "set all gradients to 0 before each step   # PyTorch: optimizer.zero_grad()",
        "PyTorch, torch.optim.Optimizer.zero_grad",
    ),
    Rule(
        "gradient-sign", steps.uphill, 0, "error",
        "Gradient descent subtracts the gradient of the loss. With one sign flipped, every step "
        "climbs.",
        "weights -= learning_rate * gradient   # with delta = outputs - targets",
        "Nielsen, Neural networks and deep learning, 2015, chapter 1",
    ),
    Rule(
        "update-not-finite", steps.broken_update, 0, "error",
        "The update itself gives NaN: 0 / 0, or the root of a negative number. In Adam the bias "
        "corrections are 0 if steps are counted from 0.",
        "count steps from 1 in m / (1 - beta_1**t); add epsilon to what you divide by",
        "Kingma and Ba, arXiv 1412.6980, algorithm 1",
    ),
    Rule(
        "weights-redrawn", steps.redrawn, 0.3, "error",
        "The weights were drawn anew during training, and with them all that was learnt is gone. "
        "Usually the initialisation stands inside the loop.",
        "draw the initial weights once, before the first step",
        "Nielsen, Neural networks and deep learning, 2015, chapter 1",
    ),
    Rule(
        "parameter-shape-changed", training.shape_changed, 0, "error",
        "The update has broadcast a parameter to a new shape, so its gradient was not summed over "
        "the batch. A separate bias for each sample stores that sample's label.",
        "gradient_of_bias = delta.sum(axis=0)   # and update in place: bias -= learning_rate * ...",
        "CS231n notes, Backpropagation, gradients for vectorized operations",
    ),
)  # fmt: skip
