"""Activations: each function with its derivative beside it.

``forward(xp, z)`` is a = f(z); ``backward(xp, d_a, z, a)``, the vector-Jacobian product, makes
dL/dz of dL/da. Shapes of all: (batch, units), or (networks, batch, units). So softmax is an
ordinary activation.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import pi, sqrt

from xpnet.backend.device import Array, Namespace
from xpnet.errors import bad_argument

LEAKY_SLOPE = 0.01
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805
_GELU_C = sqrt(2.0 / pi)
EXP_LIMIT = 88.0  # exp(88) is finite in float32; sigmoid(-88) is 6e-39


@dataclass(frozen=True)
class Activation:
    """A function and its derivative; one of your own can stand in place of a name.

    Attributes
    ----------
    name : str
    forward : callable
        ``forward(xp, z)`` gives a = f(z), (batch, units) like z.
    backward : callable
        ``backward(xp, d_a, z, a)`` gives dL/dz, (batch, units), from d_a = dL/da of that shape.
    both : callable, optional
        ``both(xp, z)`` gives a and f'(z), elementwise, if that is faster than one after the other.

    Examples
    --------
    >>> sine = Activation("sine", lambda xp, z: xp.sin(z), lambda xp, d_a, z, a: d_a * xp.cos(z))
    """

    name: str
    forward: Callable[[Namespace, Array], Array]
    backward: Callable[[Namespace, Array, Array, Array], Array]
    both: Callable[[Namespace, Array], tuple[Array, Array]] | None = None

    def __repr__(self) -> str:
        return f"Activation({self.name!r})"

    @property
    def known_by(self) -> "str | Activation":
        """The name, if it is one of xpnet's own; otherwise the activation itself."""
        return self.name if ACTIVATIONS.get(self.name) is self else self


def _sigmoid(xp: Namespace, z: Array) -> Array:
    return 1.0 / (xp.exp(xp.minimum(-z, EXP_LIMIT)) + 1.0)


def _selu_backward(xp: Namespace, d_a: Array, z: Array, a: Array) -> Array:
    on = xp.astype(z > 0.0, d_a.dtype)  # no where(): NumPy branches, ten times slower
    return d_a * (SELU_SCALE * on + (a + SELU_SCALE * SELU_ALPHA) * (1.0 - on))


def _gelu_tanh(xp: Namespace, z: Array) -> Array:
    return xp.tanh(_GELU_C * (z + 0.044715 * z * z * z))


def _gelu_backward(xp: Namespace, d_a: Array, z: Array, a: Array) -> Array:
    t, inner = _gelu_tanh(xp, z), _GELU_C * (1.0 + 3 * 0.044715 * z * z)
    return d_a * (0.5 * (1.0 + t) + 0.5 * z * (1.0 - t * t) * inner)


def _silu(xp: Namespace, z: Array) -> tuple[Array, Array]:
    s = _sigmoid(xp, z)
    a = z * s
    return a, s + a * (1.0 - s)


def _transposed(xp: Namespace, a: Array) -> Array:
    """Return a contiguous copy of aᵀ."""
    return xp.reshape(xp.reshape(a.mT, (-1,)), a.mT.shape)


def _softmax(xp: Namespace, z: Array) -> Array:
    z = _transposed(xp, z)  # (classes, batch): NumPy is slow along a short last axis
    e = xp.exp(z - xp.max(z, axis=-2, keepdims=True))
    return _transposed(xp, e / xp.sum(e, axis=-2, keepdims=True))


_ACTIVATIONS = (
    Activation("identity", lambda xp, z: z, lambda xp, d_a, z, a: d_a),
    Activation("sigmoid", _sigmoid, lambda xp, d_a, z, a: d_a * (a * (1.0 - a))),
    Activation("tanh", lambda xp, z: xp.tanh(z), lambda xp, d_a, z, a: d_a * (1.0 - a * a)),
    Activation(  # Nair and Hinton, "Rectified linear units improve restricted Boltzmann ...", 2010
        "relu",
        lambda xp, z: xp.maximum(z, 0.0),
        lambda xp, d_a, z, a: d_a * xp.astype(z > 0.0, d_a.dtype),  # 0 at the kink
    ),
    Activation(  # Maas, Hannun and Ng, "Rectifier nonlinearities improve ... acoustic models", 2013
        "leaky_relu",
        lambda xp, z: xp.maximum(z, LEAKY_SLOPE * z),
        lambda xp, d_a, z, a: (
            d_a * (LEAKY_SLOPE + (1.0 - LEAKY_SLOPE) * xp.astype(z > 0.0, d_a.dtype))
        ),
    ),
    Activation(  # Clevert, Unterthiner and Hochreiter, arXiv 1511.07289; alpha = 1
        "elu",
        lambda xp, z: xp.maximum(z, 0.0) + xp.expm1(xp.minimum(z, 0.0)),
        lambda xp, d_a, z, a: d_a * (xp.minimum(a, 0.0) + 1.0),
    ),
    Activation(  # Klambauer et al., "Self-normalizing neural networks", arXiv 1706.02515
        "selu",
        lambda xp, z: SELU_SCALE * (xp.maximum(z, 0.0) + SELU_ALPHA * xp.expm1(xp.minimum(z, 0.0))),
        _selu_backward,
    ),
    Activation(  # Hendrycks and Gimpel, arXiv 1606.08415; tanh, since the standard has no erf
        "gelu", lambda xp, z: 0.5 * z * (1.0 + _gelu_tanh(xp, z)), _gelu_backward
    ),
    Activation(  # Elfwing, Uchibe and Doya, arXiv 1702.03118; also called swish
        "silu",
        lambda xp, z: z * _sigmoid(xp, z),
        lambda xp, d_a, z, a: d_a * _silu(xp, z)[1],
        _silu,
    ),
    Activation(  # Dugas et al., "Incorporating second-order functional knowledge ...", 2001
        "softplus",
        lambda xp, z: xp.maximum(z, 0.0) + xp.log1p(xp.exp(-xp.abs(z))),
        lambda xp, d_a, z, a: d_a * _sigmoid(xp, z),
    ),
    Activation(  # for outputs: a Poisson mean
        "exp", lambda xp, z: xp.exp(xp.minimum(z, EXP_LIMIT)), lambda xp, d_a, z, a: d_a * a
    ),
    Activation(  # for outputs. Bridle, "Probabilistic interpretation of ...", 1990
        "softmax",
        _softmax,
        lambda xp, d_a, z, a: a * (d_a - xp.sum(d_a * a, axis=-1, keepdims=True)),
    ),
)
ACTIVATIONS: dict[str, Activation] = {each.name: each for each in _ACTIVATIONS}
HIDDEN = tuple(name for name in ACTIVATIONS if name not in ("exp", "softmax"))
OUTPUTS = ("identity", "sigmoid", "softmax", "tanh", "exp", "softplus")


def resolve_activation(activation: str | Activation, allowed: Sequence[str]) -> Activation:
    """Return an activation by one of the allowed names, or the one given."""
    if isinstance(activation, Activation):
        return activation
    if activation not in allowed:
        remedy = f"use one of {', '.join(allowed)}"
        if callable(activation):
            remedy += ", or give its derivative too, as xpnet.Activation('mine', forward, backward)"
        raise bad_argument("activation", activation, f"is not known here; {remedy}")
    return ACTIVATIONS[activation]
