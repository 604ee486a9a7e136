"""The doctor's rules: the limit, text, remedy and source of each sign.

To add one: write ``def my_sign(run, limit)`` in a module of this room, and a `Rule` here or in
`xpnet.doctor.rules.of_code`. Causes come before symptoms. Limits were chosen by measuring healthy
and broken runs (`benchmarks/doctor.py`); where one differs from its source, the source's value
raised false alarms or came too late.
"""

from xpnet.doctor.findings import Finding
from xpnet.doctor.rules import data, loss, steps, updates
from xpnet.doctor.rules import outcome as training
from xpnet.doctor.rules.of_code import RULES_OF_CODE
from xpnet.doctor.rules.rule import CHECKER, DIAGNOSIS, GLOROT, RECIPE, STANDARDISE, Rule
from xpnet.doctor.run import Run
from xpnet.doctor.seen_targets import SORTED

RULES = (
    *RULES_OF_CODE,
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
        "integer-parameters", updates.integer_parameters, 0, "error",
        "An array of integers cuts off what comes after the decimal point. A step shorter than 1 "
        "changes nothing.",
        "weights = weights.astype(float)",
        "NumPy manual, Assigning values to indexed arrays",
    ),
    Rule(
        "shared-parameters", updates.shared_parameters, 0, "",
        "What is one array cannot learn two things. A list such as [W] * 3 holds the same array "
        "three times.",
        "W = [draw() for _ in range(3)]   # or W.copy()",
        "Python FAQ, How do I create a multidimensional list?",
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
        "gradient-zero", updates.zero_gradient, 2, "",
        "Wrong predictions have a gradient in all that they depend on. Zeros that were never "
        "filled, and an integer division such as 1 // m, leave none.",
        "compute the gradient of every parameter; 1 / m, not 1 // m",
        "CS231n notes, Gradient checks",
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
        "loss-wrong", loss.loss_apart, 0.05, "error",
        "The loss has been driven to 0 without the predictions. It is computed from something "
        "else, or a term is missing.",
        "compute the loss from the same predictions and targets that you judge by",
        RECIPE,
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
