"""The doctor's rules: the limit, text, remedy and source of each sign.

To add one: write ``def my_sign(run, limit)`` in a module ``signs_of_*``, and a `Rule` here. Causes
come before symptoms. Limits were chosen by measuring healthy and broken runs
(`benchmarks/doctor.py`); where one differs from its source, the source's value raised false alarms
or came too late.
"""

from collections.abc import Callable
from dataclasses import dataclass

from xpnet import signs_of_data as data
from xpnet import signs_of_loss as loss
from xpnet import signs_of_steps as steps
from xpnet import signs_of_training as training
from xpnet import signs_of_updates as updates
from xpnet.findings import Finding
from xpnet.seen_targets import SORTED
from xpnet.signs_of_data import Sign
from xpnet.watched_run import Run


@dataclass(frozen=True)
class Rule:
    """One rule: `look` gives a sign when `limit` is exceeded; the rest is the finding's text.

    Attributes
    ----------
    severity : str
        ``""``: an error if nothing was learnt, a warning if something was.
    """

    code: str
    look: Callable[[Run, float], Sign | None]
    limit: float
    severity: str
    explanation: str
    remedy: str
    source: str

    def apply(self, run: Run) -> Finding | None:
        """Return the finding for a run, if there is one."""
        sign = self.look(run, self.limit)
        if sign is None:
            return None
        severity = sign.severity or self.severity or run.severity
        return Finding(
            self.code, severity, sign.where, sign.evidence, self.explanation,
            sign.remedy or self.remedy, self.source, sign.repair,
        )  # fmt: skip


RECIPE = "Karpathy, A recipe for training neural networks, 2019"
CHECKER = "Ben Braiek and Khomh, TheDeepChecker, arXiv 2204.00694"
DIAGNOSIS = "Wardat et al., DeepDiagnosis, arXiv 2112.04036"
GLOROT = "Glorot and Bengio, Understanding the difficulty of training deep networks, 2010"
STANDARDISE = "mean, std = x_train.mean(axis=0), x_train.std(axis=0); x = (x - mean) / std"
RULES = (
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
        "Combining shapes (m,) and (m, 1) raises no error: NumPy broadcasts them to (m, m). The "
        "loss then compares every output with every target.",
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
    Rule(
        "prediction-drift", data.prediction_drift, 4.0, "error",
        "The network now gets inputs on a different scale from those it was trained on. Its units "
        "saturate, and every sample gets nearly the same output.",
        "use the mean and std of the training set at prediction too: " + STANDARDISE,
        "deepchecks, Feature Drift",
    ),
    Rule(
        "target-range", data.target_range, 1e-6, "error",
        "The output activation cannot reach these targets, whatever the weights. Training pushes "
        "it to the end of its range, where its slope is 0.",
        "encode classes as 0 and 1 for a sigmoid output, or use output='identity' for numbers",
        CHECKER,
    ),
    Rule(
        "constant-target", data.constant_target, 50, "error",
        "If all targets are the same, there is nothing to learn. The loss still falls to 0: the "
        "last bias is enough.",
        "check which column is the target, and how the rows were selected",
        RECIPE + " (become one with the data)",
    ),
    Rule(
        "constant-feature", data.constant_feature, 1e-9, "note",
        "A feature with a single value carries no information. Dividing it by its standard "
        "deviation gives NaN.",
        "x = x[:, x.std(axis=0) > 0]",
        "scikit-learn, VarianceThreshold",
    ),
    Rule(
        "unscaled-inputs", data.unscaled_inputs, 5.0, "",
        "Large inputs saturate the first layer's units, and one learning rate cannot suit features "
        "of different sizes. Tiny inputs hardly move the output at all.",
        STANDARDISE,
        "LeCun et al., Efficient BackProp, 1998, section 4.3",
    ),
    Rule(
        "class-imbalance", data.class_imbalance, 10.0, "",
        "One class has most of the rows, so always predicting it is nearly right. The rare class "
        "hardly counts in the loss.",
        "class_weight='balanced'",
        "Amazon SageMaker Debugger, ClassImbalance (10)",
    ),
    Rule(
        "shuffled-targets", data.shuffled_targets, 3.0, "",
        "Nothing in the inputs predicts the targets, so only memorising can lower the loss. The "
        "rows of x and y may have been shuffled or sorted separately.",
        "order = generator.permutation(len(x)); x, y = x[order], y[order]   # one order for both",
        RECIPE,
    ),
    Rule(
        "unshuffled-rows", data.unshuffled_rows, SORTED, "",
        "Each batch has rows of one kind and pulls the whole network towards it, and the next ones "
        "pull it away again. It predicts what it saw last.",
        "order = generator.permutation(len(x)); x, y = x[order], y[order]   # in every epoch; "
        "of a time series, whole windows",
        "LeCun et al., Efficient BackProp, 1998, section 4.2",
    ),
    Rule(
        "symmetric-units", training.symmetric_units, 1e-12, "error",
        "Units that start alike get the same gradient and stay alike for ever. The whole layer is "
        "worth one unit.",
        "weights = generator.standard_normal((fan_in, fan_out)) / sqrt(fan_in)",
        "Goodfellow et al., Deep Learning, 8.4",
    ),
    Rule(
        "all-positive-weights", training.all_positive, 9, "",
        "With weights of one sign, all units of a layer rise together, and the sums in the next "
        "layer saturate its units. Weights have to be drawn symmetrically about 0.",
        "limit = sqrt(6 / (fan_in + fan_out)); weights = generator.uniform(-limit, limit, shape)",
        GLOROT,
    ),
    Rule(
        "wrong-init-scale", training.init_scale, 9.0, "",
        "Each layer multiplies the size of its input by about rms(weights) x sqrt(fan_in). Far "
        "above 1, the signal saturates units or explodes; far below 1, it dies out.",
        "weights = generator.standard_normal((fan_in, fan_out)) * sqrt(2 / (fan_in + fan_out))",
        GLOROT,
    ),
    Rule(
        "linear-hidden-layer", steps.linear_hidden, 0, "",
        "Layers with no activation function between them are together one linear layer. It cannot "
        "learn XOR, a circle, or any other curved boundary.",
        "hidden = numpy.tanh(inputs @ weights + biases)   # if one is applied, show its result; "
        "if none is meant, xpnet.Doctor(hidden=['identity'])",
        "Goodfellow et al., Deep Learning, 6.1",
    ),
    Rule(
        "initial-loss", loss.unscaled_targets, 3.0, "",
        "Before any training the loss should be that of a guess: log(K) for K classes, about the "
        "variance for numbers. Far more means that weights are too large or targets need scaling.",
        "for numbers: y = (y - y.mean()) / y.std(); for classes: smaller initial weights",
        RECIPE,
    ),
    Rule(
        "regularisation-dominates", updates.regularisation, 0.2, "",
        "The penalty pulls the weights to 0 harder than the data pull them anywhere. What is left "
        "is the bias, a constant prediction.",
        "l2 = l2 / 100   # and check whether it is divided by the number of samples",
        CHECKER,
    ),
    Rule(
        "dead-units", training.dead_units, 0.6, "",
        "A ReLU that gives 0 for every sample has gradient 0 and never recovers. The layer has "
        "fewer units than it seems.",
        "start biases at 0, lower the learning rate, or use hidden='leaky_relu'",
        DIAGNOSIS,
    ),
    Rule(
        "saturated-units", training.saturated_units, 0.5, "",
        "At the ends of its range a sigmoid or tanh has a slope of almost 0, so no gradient "
        "passes. Such a unit cannot tell samples apart.",
        "smaller weights, symmetric about 0, and standardised inputs: init='auto'",
        GLOROT,
    ),
    Rule(
        "learning-rate-too-large", updates.rate_too_large, 0.3, "",
        "Each step jumps over the valley it should descend into. The loss swings or climbs.",
        "divide the learning rate by 10 until the loss falls steadily",
        "CS231n notes, Babysitting the learning process",
    ),
    Rule(
        "no-update", updates.no_update, 1e-6, "error",
        "These parameters are the same as at the start, to the last bit. The update is missing, "
        "changes a copy, makes new arrays that the forward pass does not use, or waits for more "
        "steps.",
        "weights -= learning_rate * gradient   # in place, on the arrays that forward uses",
        "CS231n notes, Ratio of weights:updates",
    ),
    Rule(
        "learning-rate-vanishes", updates.rate_vanished, 1e-4, "",
        "Whatever the gradient, such steps change nothing, so training ended there. A decay meant "
        "for each epoch may have been applied in every step.",
        "lower the learning rate once per epoch and more slowly; first train with a constant one",
        "Bengio, Practical recommendations for gradient-based training, 2012, section 3.1.1",
    ),
    Rule(
        "learning-rate-too-small", updates.rate_too_small, 0.02, "",
        "The steps are so short that the weights stay where they began. A falling loss then comes "
        "from elsewhere, such as the biases.",
        "multiply the learning rate by 10 until the loss falls quickly, or train longer",
        "CS231n notes, Ratio of weights:updates",
    ),
    Rule(
        "vanishing-gradient", updates.vanishing_gradient, 1e-3, "",
        "Every saturated or small layer shrinks the gradient on its way back. The first layers "
        "learn nothing while the last ones fit noise.",
        "hidden='relu' with init='auto', or fewer layers",
        "Zhang et al., AUTOTRAINER, ICSE 2021 (ratio of first to last layer 1e-3)",
    ),
    Rule(
        "exploding-gradient", updates.exploding_gradient, 100.0, "",
        "The gradient is far larger than the weights it changes. One step wipes them out.",
        "init='auto', scaled inputs and targets, or clip_norm=1.0",
        "Pascanu et al., arXiv 1211.5063",
    ),
    Rule(
        "non-finite", training.no_number, 0, "error",
        "A computed value is no longer a number. The steps were too long, or a formula is "
        "undefined here, such as log(0) or 0 / 0.",
        "lower the learning rate; compute cross-entropy from the pre-activations",
        DIAGNOSIS,
    ),
    Rule(
        "diverged", training.diverged, 100.0, "error",
        "The loss has run away. All later steps start from useless weights.",
        "lower the learning rate, scale inputs and targets, check the sign of the gradient",
        CHECKER,
    ),
    Rule(
        "loss-rising", training.loss_rising, 1.1, "error",
        "Training makes the loss worse. Either the gradient's sign is wrong or the steps are too "
        "long.",
        "run xpnet.check_gradients, then lower the learning rate",
        CHECKER,
    ),
    Rule(
        "loss-not-decreasing", training.loss_not_decreasing, 0.97, "error",
        "The loss stays where it was. Something stops the gradient or makes it point elsewhere.",
        "run xpnet.check_gradients, then try to overfit one small batch",
        "Amazon SageMaker Debugger, LossNotDecreasing",
    ),
    Rule(
        "cannot-overfit-one-batch", training.one_batch, 0.5, "error",
        "A network with enough units can memorise a few rows. If it does not, the fault lies in "
        "the code or the settings, not in the amount of data.",
        "run xpnet.check_gradients; more units; another learning rate",
        RECIPE,
    ),
    Rule(
        "no-better-than-constant", training.no_better, 0.05, "error",
        "The predictions are no better than always giving the mean or the commonest class. The "
        "loss may still have fallen, to that of the constant.",
        "see the findings above; if there are none, train longer or scale the inputs",
        RECIPE + " (input-independent baseline)",
    ),
    Rule(
        "constant-output", training.constant_output, 0.05, "error",
        "Every sample gets nearly the same prediction. The inputs do not reach the output.",
        "see the findings above; if there are none, scale the inputs and redraw the weights",
        "scikit-learn issue 31235",
    ),
    Rule(
        "overfitting", training.overfitting, 1.25, "warning",
        "The network keeps memorising the training rows and gets worse on others. The best "
        "weights were some epochs ago.",
        "early_stopping=True, or l2, dropout, fewer units, more rows",
        "Prechelt, Early stopping - but when?, 1998",
    ),
)  # fmt: skip


def examine(run: Run, given: tuple[Finding, ...] = ()) -> tuple[Finding, ...]:
    """Apply all rules to a run, after the given findings; each rule sees the codes so far."""
    run.found |= {finding.code for finding in given}
    findings = list(given)
    for rule in RULES:
        finding = rule.apply(run)
        if finding is not None:
            findings.append(finding)
            run.found.add(finding.code)
    return tuple(findings)
