"""Networks from scikit-learn and PyTorch, and back: the same numbers in float64."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from xpnet.backend.device import CPU, to_host
from xpnet.errors import InputError
from xpnet.nn.network import MLP

SKLEARN = {"identity": "identity", "logistic": "sigmoid", "tanh": "tanh", "relu": "relu",
           "softmax": "softmax"}  # fmt: skip
TORCH: dict[str, Callable[[Any], Any]] = {
    "identity": lambda nn: nn.Identity(),
    "sigmoid": lambda nn: nn.Sigmoid(),
    "tanh": lambda nn: nn.Tanh(),
    "relu": lambda nn: nn.ReLU(),
    "leaky_relu": lambda nn: nn.LeakyReLU(0.01),
    "elu": lambda nn: nn.ELU(),
    "selu": lambda nn: nn.SELU(),
    "gelu": lambda nn: nn.GELU(approximate="tanh"),
    "silu": lambda nn: nn.SiLU(),
    "softplus": lambda nn: nn.Softplus(threshold=40),  # beyond it, log(1 + exp(z)) is z in float64
    "softmax": lambda nn: nn.Softmax(dim=1),
}
_ALSO = {"Softplus(beta=1.0, threshold=20.0)": "softplus", "Softmax(dim=-1)": "softmax"}


def from_sklearn(estimator: Any) -> MLP:
    """Return the network of a fitted MLPClassifier or MLPRegressor of scikit-learn.

    Its outputs (n, outputs) are probabilities (of two classes: that of the second) or values.
    Raises `InputError` if it was not fitted.
    """
    if not hasattr(estimator, "coefs_"):
        raise InputError(f"{type(estimator).__name__} has no coefs_; give a fitted MLP")
    return _network(
        estimator.coefs_, estimator.intercepts_, SKLEARN[estimator.out_activation_],
        hidden=SKLEARN[estimator.activation],
    )  # fmt: skip


def to_sklearn(net: MLP, classes: Sequence[Any] | None = None) -> Any:
    """Return a fitted MLPClassifier of scikit-learn, or an MLPRegressor if the output is identity.

    Parameters
    ----------
    classes : sequence, (classes,), optional
        In ascending order; by default 0, 1, ... Not for several sigmoid outputs, which are labels.

    Raises
    ------
    InputError
        If scikit-learn has no such network: other activations, or several in one network.
    """
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.preprocessing import LabelBinarizer

    names = {ours: theirs for theirs, ours in SKLEARN.items() if theirs != "softmax"}
    hidden: set[Any] = {each.known_by for each in net.hidden} or {"identity"}
    output, width = net.output.name, net.sizes[-1]
    if hidden - names.keys() or len(hidden) > 1:
        found = ", ".join(sorted(map(str, hidden)))
        raise InputError(f"activation {found}: scikit-learn has one of {', '.join(names)}")
    if output not in ("identity", "sigmoid", "softmax"):
        raise InputError(f"output {output}: scikit-learn has identity, sigmoid and softmax")
    labels = output == "sigmoid" and width > 1
    if labels and classes is not None:
        raise InputError("classes: several sigmoid outputs are labels, each 0 or 1; leave it out")
    kind = MLPRegressor if output == "identity" else MLPClassifier
    made = kind(hidden_layer_sizes=net.sizes[1:-1], activation=names[hidden.pop()])
    made.coefs_, made.intercepts_ = [*map(to_host, net.weights)], [*map(to_host, net.biases)]
    made.n_features_in_, made.n_outputs_, made.n_layers_ = net.sizes[0], width, len(net.sizes)
    made.out_activation_ = {"sigmoid": "logistic"}.get(output, output)
    if output != "identity":
        known: Any = classes
        if known is None:
            known = np.eye(width, dtype=int) if labels else np.arange(max(width, 2))
        made._label_binarizer = LabelBinarizer().fit(known)
        made.classes_ = made._label_binarizer.classes_
    return made


def from_torch(module: Any, output: str = "") -> MLP:
    """Return the network of a `torch.nn.Sequential`, on the CPU.

    Parameters
    ----------
    module : Sequential
        With layers Linear, Dropout and activations.
    output : str, optional
        The output activation, ``"sigmoid"`` or ``"softmax"``, if the module ends in logits because
        its loss includes the activation.

    Raises
    ------
    InputError
        For a layer that no MLP of xpnet has.
    """
    from torch import nn

    known = {repr(make(nn)): name for name, make in TORCH.items()} | _ALSO
    linear, activations, dropout = list[Any](), list[str](), list[float]()
    for layer in module:
        text = repr(layer).replace("inplace=True", "").replace(", inplace=False", "")
        if isinstance(layer, nn.Linear):
            linear.append(layer)
            activations.append("identity")
            dropout.append(0.0)
        elif linear and isinstance(layer, nn.Dropout) and dropout[-1] == 0.0:
            dropout[-1] = layer.p
        elif linear and text in known and activations[-1] == "identity" and dropout[-1] == 0.0:
            activations[-1] = known[text]
        else:
            raise InputError(f"layer {layer} is none that an MLP has in that place")
    weights = [each.weight.detach().cpu().numpy().T for each in linear]
    biases = [np.zeros(each.out_features) if each.bias is None else each.bias.detach().cpu().numpy()
              for each in linear]  # fmt: skip
    if not linear:
        raise InputError("the module has no linear layers")
    *hidden, last = activations
    return _network(weights, biases, output or last, hidden=hidden, dropout=dropout[:-1])


def to_torch(net: MLP) -> Any:
    """Return the network as a `torch.nn.Sequential` on the CPU, with copies of the parameters.

    Raises `InputError` for an activation that PyTorch has no layer for.
    """
    import torch
    from torch import nn

    layers, rates = list[Any](), (*net.dropout, 0.0)
    activations = (*net.hidden, net.output)
    for weights, biases, activation, rate in zip(
        net.weights, net.biases, activations, rates, strict=True
    ):
        if activation.known_by not in TORCH:
            raise InputError(f"activation {activation.name!r}: PyTorch has no layer for it")
        linear = nn.Linear(*weights.shape, dtype=getattr(torch, net.dtype))
        linear.load_state_dict(
            {"weight": torch.tensor(to_host(weights).T), "bias": torch.tensor(to_host(biases))}
        )
        layers += [linear, TORCH[activation.name](nn), *([nn.Dropout(rate)] if rate else [])]
    return nn.Sequential(*layers)


def _network(weights: Sequence[Any], biases: Sequence[Any], output: str, **options: Any) -> MLP:
    sizes = [weights[0].shape[0], *(each.shape[1] for each in weights)]
    dtype = "float64" if weights[0].dtype == np.float64 else "float32"
    net = MLP(sizes, output=output, init="zeros", dtype=dtype, device=CPU, **options)
    net.set_parameters(weights, biases)
    return net
