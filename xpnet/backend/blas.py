"""NumPy's own matrix product, called from compiled code by its address.

numba's ``np.dot`` uses SciPy's library, which may be another one, and slower. The address is an
argument, so that compiled code can be kept on disk.
"""

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

ROW_MAJOR = 101


def _gemm_of(bits: int) -> Any:
    @intrinsic  # type: ignore[untyped-decorator]
    def gemm(
        context: Any, address: Any, one: Any, turn_a: Any, turn_b: Any, rows: Any, columns: Any,
        inner: Any, a: Any, lda: Any, b: Any, ldb: Any, out: Any, ldo: Any,
    ) -> Any:  # fmt: skip
        """Write the product of two matrices, each perhaps turned (112) or not (111)."""
        long = types.int64
        signature = types.void(long, one, *[long] * 11)

        def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            integer, enum, pointer = ir.IntType(bits), ir.IntType(32), ir.IntType(8).as_pointer()
            real = values[1].type
            kinds = [enum] * 3 + [integer] * 3 + [real, pointer, integer, pointer, integer]
            kinds += [real, pointer, integer]
            function = ir.FunctionType(ir.VoidType(), kinds).as_pointer()

            def cast(value: Any, kind: Any) -> Any:
                if value.type == kind:
                    return value
                narrow = builder.inttoptr if kind == pointer else builder.trunc
                return narrow(value, kind)

            at, alpha, turn_a, turn_b, m, n, k, a, lda, b, ldb, out, ldo = values
            given = [ir.Constant(enum, ROW_MAJOR), turn_a, turn_b, m, n, k, alpha, a, lda, b, ldb,
                     ir.Constant(real, 0.0), out, ldo]  # fmt: skip
            ready = [cast(value, kind) for value, kind in zip(given, kinds, strict=True)]
            builder.call(builder.inttoptr(at, function), ready)
            return context.get_dummy_value()

        return signature, code

    return gemm


gemm_32, gemm_64 = _gemm_of(32), _gemm_of(64)
