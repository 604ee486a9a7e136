"""How the arrays of a hand-written loop lie: samples as rows, as columns, or one by one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xpnet.errors import InputError
from xpnet.observations import ROW_NAMES, as_host, columns, is_bias, shape_of


@dataclass(frozen=True)
class Layout:
    """Brings a loop's arrays to (rows, n).

    Attributes
    ----------
    columns : bool
        Samples are columns: inputs are (inputs, batch).
    one_sample : bool
        A vector or a number is that of one sample, and not (batch,).
    """

    columns: bool = False
    one_sample: bool = False

    @classmethod
    def of(cls, rows: Mapping[str, Any], parameters: Mapping[str, Any]) -> "Layout":
        """Tell the layout from the arrays of the first step, named as in `ROW_NAMES`."""
        first = (shape_of(p) for name, p in parameters.items() if not is_bias(name, p))
        weights, inputs = next(first, ()), shape_of(rows.get("inputs"))
        square = len(inputs) == len(weights) == 2
        sideways = square and inputs[1] not in weights and inputs[0] in weights
        shapes = [tuple(rows[name].shape) for name in ROW_NAMES if name in rows]
        return cls(sideways, () in shapes or _is_one_sample(inputs, shapes, weights))

    def as_batch(self, array: Any, name: str) -> Any:
        """Return one sample's vector or number as (1, n), and a batch as it is."""
        alone = self.one_sample and len(array.shape) < 2
        return as_host(array, name=name).reshape(1, -1) if alone else array

    def host_rows(self, batch: Any, name: str, limit: int | None = None) -> Any:
        """Return a host copy of a batch, (rows, n), of at most `limit` rows."""
        sideways = self.columns and len(batch.shape) == 2
        host = columns(as_host(batch.T if sideways else batch, limit, name))
        if host.ndim != 2 or not len(host):
            raise InputError(
                f"{name}: the shape is {tuple(batch.shape)}; pass (batch, n), at least one row"
            )
        return host

    def row_count(self, batch: Mapping[str, Any]) -> int:
        """Return the number of samples in a step's arrays; 0 if there are none."""
        shapes = [shape_of(batch[name]) for name in ROW_NAMES if name in batch]
        return min((shape[-1 if self.columns else 0] for shape in shapes), default=0)


def _is_one_sample(
    inputs: tuple[int, ...], shapes: list[tuple[int, ...]], weights: tuple[int, ...]
) -> bool:
    """Tell whether inputs (n,) are n features: other vectors, or the weights, say so."""
    if len(inputs) != 1 or any(len(shape) > 1 and shape[0] > 1 for shape in shapes):
        return False
    lengths = {shape[0] for shape in shapes if len(shape) == 1}
    return len(lengths) > 1 or (len(weights) == 2 and 1 not in weights)
