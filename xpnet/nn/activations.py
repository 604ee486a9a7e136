"""Activations: each function with its derivative beside it.

``forward(xp, z)`` is a = f(z). ``backward(xp, d_a, z, a)`` is the vector-Jacobian product: given
dL/da it returns dL/dz, and may use z, a, or both. Shapes of all: (batch, units). Softmax is
therefore an ordinary activation.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import pi, sqrt

from xpnet.backend.device import Array, Namespace
from xpnet.errors import bad_argument

LEAKY_SLOPE = 0.01
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805
_GELU_C = sqrt(2.0 / pi)
_EXP_LIMIT = 88.0  # exp(88) is finite in float32; sigmoid(-88) is 6e-39


@dataclass(frozen=True)
class Activation:
    """A function and its derivative; make your own and pass it in place of a name.

    Attributes
    ----------
    name : str
    forward : callable
        ``forward(xp, z)`` gives a = f(z), (batch, units) like z.
    backward : callable
        ``backward(xp, d_a, z, a)`` gives dL/dz, (batch, units), from d_a = dL/da of that shape.

    Examples
    --------
    >>> sine = Activation("sine", lambda xp, z: xp.sin(z), lambda xp, d_a, z, a: d_a * xp.cos(z))
    """

    name: str
    forward: Callable[[Namespace, Array], Array]
    backward: Callable[[Namespace, Array, Array, Array], Array]

    def __repr__(self) -> str:
        return f"Activation({self.name!r})"


def _identity(xp: Namespace, z: Array) -> Array:
    return z


def _identity_backward(xp: Namespace, d_a: Array, z: Array, a: Array) -> Array:
    return d_a


def _sigmoid(xp: Namespace, z: Array) -> Array:
    return 1.0 / (xp.exp(xp.minimum(-z, _EXP_LIMIT)) + 1.0)


def _sigmoid_backward(xp: Namespace, d_a: Array, z: Array, a: Array) -> Array:
    return d_a * (a * (1.0 - a))


def _tanh(xp: Namespace, z: Array) -> Array:
    return xp.tanh(z)


def _tanh_backward(xp: Namespace, d_a: Array, z: Array, a: Array) -> Array:
    return d_a * (1.0 - a * a)


def _relu(xp: Namespace, z: Array) -> Array:
    """Nair and Hinton, "Rectified linear units improve restricted Boltzmann machines", 2010."""
    return xp.maximum(z, 0.0)


def _relu_backward(xp: Namespace, d_a: Array, z: Array, a: Array) -> Array:
    return d_a * xp.asarray(z > 0.0, dtype=d_a.dtype)  # 0 at the kink


def _leaky_relu(xp: Namespace, z: Array) -> Array:
    """Maas, Hannun and Ng, "Rectifier nonlinearities improve ... acoustic models", 2013."""
    return xp.maximum(z, LEAKY_SLOPE * z)


def _leaky_relu_backward(xp: Namespace, d_a: Array, z: Array, a: Array) -> Array:
    return d_a * (LEAKY_SLOPE + (1.0 - LEAKY_SLOPE) * xp.asarray(z > 0.0, dtype=d_a.dtype))


def _elu(xp: Namespace, z: Array) -> Array:
    """Clevert, Unterthiner and Hochreiter, arXiv 1511.07289; alpha = 1."""
    return xp.maximum(z, 0.0) + xp.expm1(xp.minimum(z, 0.0))


def _elu_backward(xp: Namespace, d_a: Array, z: Array, a: Array) -> Array:
    return d_a * (xp.minimum(a, 0.0) + 1.0)


def _selu(xp: Namespace, z: Array) -> Array:
    """Klambauer et al., "Self-normalizing neural networks", arXiv 1706.02515."""
    return SELU_SCALE * (xp.maximum(z, 0.0) + SELU_ALPHA * xp.expm1(xp.minimum(z, 0.0)))


def _selu_backward(xp: Namespace, d_a: Array, z: Array, a: Array) -> Array:
    on = xp.asarray(z > 0.0, dtype=d_a.dtype)  # no where(): NumPy branches, ten times slower
    return d_a * (SELU_SCALE * on + (a + SELU_SCALE * SELU_ALPHA) * (1.0 - on))


def _gelu(xp: Namespace, z: Array) -> Array:
    """Hendrycks and Gimpel, arXiv 1606.08415; the tanh form, since the standard has no erf."""
    return 0.5 * z * (1.0 + xp.tanh(_GELU_C * (z + 0.044715 * z * z * z)))


def _gelu_backward(xp: Namespace, d_a: Array, z: Array, a: Array) -> Array:
    t = xp.tanh(_GELU_C * (z + 0.044715 * z * z * z))
    inner = _GELU_C * (1.0 + 3 * 0.044715 * z * z)
    return d_a * (0.5 * (1.0 + t) + 0.5 * z * (1.0 - t * t) * inner)


def _silu(xp: Namespace, z: Array) -> Array:
    """Elfwing, Uchibe and Doya, arXiv 1702.03118; also called swish."""
    return z * _sigmoid(xp, z)


def _silu_backward(xp: Namespace, d_a: Array, z: Array, a: Array) -> Array:
    s = _sigmoid(xp, z)
    return d_a * (s + a * (1.0 - s))


def _softplus(xp: Namespace, z: Array) -> Array:
    """Dugas et al., "Incorporating second-order functional knowledge ...", 2001."""
    return xp.maximum(z, 0.0) + xp.log1p(xp.exp(-xp.abs(z)))


def _softplus_backward(xp: Namespace, d_a: Array, z: Array, a: Array) -> Array:
    return d_a * _sigmoid(xp, z)


def _exp(xp: Namespace, z: Array) -> Array:
    """For outputs: a Poisson mean."""
    return xp.exp(xp.minimum(z, _EXP_LIMIT))


def _exp_backward(xp: Namespace, d_a: Array, z: Array, a: Array) -> Array:
    return d_a * a


def _transposed(xp: Namespace, a: Array) -> Array:
    """Return aᵀ as a new array, contiguous by rows, and not as a view."""
    return xp.reshape(xp.reshape(a.T, (-1,)), (a.shape[1], a.shape[0]))


def _softmax(xp: Namespace, z: Array) -> Array:
    """For outputs: class probabilities. Bridle, "Probabilistic interpretation of ...", 1990."""
    z = _transposed(xp, z)  # (classes, batch): NumPy is slow along a short last axis
    e = xp.exp(z - xp.max(z, axis=0))
    return _transposed(xp, e / xp.sum(e, axis=0))


def _softmax_backward(xp: Namespace, d_a: Array, z: Array, a: Array) -> Array:
    return a * (d_a - xp.sum(d_a * a, axis=-1, keepdims=True))


ACTIVATIONS: dict[str, Activation] = {
    each.name: each
    for each in (
        Activation("identity", _identity, _identity_backward),
        Activation("sigmoid", _sigmoid, _sigmoid_backward),
        Activation("tanh", _tanh, _tanh_backward),
        Activation("relu", _relu, _relu_backward),
        Activation("leaky_relu", _leaky_relu, _leaky_relu_backward),
        Activation("elu", _elu, _elu_backward),
        Activation("selu", _selu, _selu_backward),
        Activation("gelu", _gelu, _gelu_backward),
        Activation("silu", _silu, _silu_backward),
        Activation("softplus", _softplus, _softplus_backward),
        Activation("exp", _exp, _exp_backward),
        Activation("softmax", _softmax, _softmax_backward),
    )
}
HIDDEN = tuple(name for name in ACTIVATIONS if name not in ("exp", "softmax"))
OUTPUTS = ("identity", "sigmoid", "softmax", "tanh", "exp", "softplus")


def resolve_activation(given: str | Activation, allowed: Sequence[str]) -> Activation:
    """Return an activation by one of the names allowed, or as given."""
    if isinstance(given, Activation):
        return given
    if given not in allowed:
        remedy = f"use one of {', '.join(allowed)}"
        if callable(given):
            remedy += ", or give its derivative too, as xpnet.Activation('mine', forward, backward)"
        raise bad_argument("activation", given, f"is not known here; {remedy}")
    return ACTIVATIONS[given]
