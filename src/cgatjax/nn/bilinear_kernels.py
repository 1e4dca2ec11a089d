"""GPU kernels of the bilinear form of hypernetworks, in Pallas (lowered through Triton).

The plain path (`nn.hypernetwork.bilinear`) writes the outer products z_k x_i of every row to memory
and multiplies them by the kernel. Here every tile of these products is formed in registers, as the
left factor of a product with K_k, in the forward pass and for all three gradients.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton as plgpu


class Tiling(NamedTuple):
    """Sizes of the kernels' tiles.

    Attributes:
      rows: rows of a tile.
      splits: parts of the sum over k that are computed side by side, and added afterwards.
      warps: warps per program.
      stages: depth of the software pipeline.
    """

    rows: int = 64
    splits: int = 4
    warps: int = 8
    stages: int = 2


def is_supported(kernel: Array) -> bool:
    """True for the kernel sizes (K, I + 1, O) that the tiles fit: powers of two from 16 on."""
    sizes = (kernel.shape[0], kernel.shape[1] - 1, kernel.shape[2])
    return all(size >= 16 and size & (size - 1) == 0 for size in sizes)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3, 4, 5, 6))
def fused_bilinear(
    z: Array,
    x: Array,
    kernel: Array,
    low_precision: bool = False,
    precision: str | None = None,
    tiling: Tiling = Tiling(),  # noqa: B008 - immutable
    interpret: bool = False,
) -> Array:
    """Compute y_no = sum_ki z_nk x_ni K_kio: (n, K), (n, I + 1), (K, I + 1, O) -> (n, O).

    Args:
      z: (n, K), as of `nn.hypernetwork.bilinear`.
      x: (n, I + 1).
      kernel: (K, I + 1, O).
      low_precision: bfloat16 factors, float32 sums.
      precision: JAX's name of the precision of float32 products.
      tiling: sizes of the tiles.
      interpret: run without a GPU, for tests.
    """
    call = _Call(low_precision, precision, tiling, interpret)
    last = call.product(z * x[:, -1:], kernel[:, -1])  # the row of the bias, which no tile fits
    return call.forward(z, x[:, :-1], kernel) + last


def _forward(
    z: Array,
    x: Array,
    kernel: Array,
    low_precision: bool,
    precision: str | None,
    tiling: Tiling,
    interpret: bool,
) -> tuple[Array, tuple[Array, Array, Array]]:
    y = fused_bilinear(z, x, kernel, low_precision, precision, tiling, interpret)
    return y, (z, x, kernel)


def _backward(
    low_precision: bool,
    precision: str | None,
    tiling: Tiling,
    interpret: bool,
    kept: tuple[Array, Array, Array],
    dy: Array,
) -> tuple[Array, Array, Array]:
    z, x, kernel = kept
    call = _Call(low_precision, precision, tiling, interpret)
    main, last = x[:, :-1], x[:, -1:]
    dz, dx = call.row_gradients(z, main, kernel, dy)
    d_kernel = call.kernel_gradient(z, main, dy)
    d_last = call.product(dy, kernel[:, -1].T)
    dx = jnp.concatenate([dx, (d_last * z).sum(1, keepdims=True)], 1)
    d_bias = call.product((z * last).T, dy)
    return dz + d_last * last, dx, jnp.concatenate([d_kernel, d_bias[:, None]], 1)


fused_bilinear.defvjp(_forward, _backward)


class _Call(NamedTuple):
    """Options of the kernels, and the calls of each."""

    low_precision: bool
    precision: str | None
    tiling: Tiling
    interpret: bool

    def product(self, x: Array, y: Array) -> Array:
        """Multiply two matrices outside of the kernels."""
        with jax.default_matmul_precision(self.precision):
            return jnp.matmul(self._cast(x), self._cast(y), preferred_element_type=x.dtype)

    def forward(self, z: Array, x: Array, kernel: Array) -> Array:
        """Compute y (n, O) from z (n, K), x (n, I) and kernel (K, I + 1, O), without the last i."""
        size = len(z)
        z, x = self._padded(z), self._padded(x)
        (n, depth), (_, width), out = z.shape, x.shape, kernel.shape[-1]
        rows, splits = self.tiling.rows, min(self.tiling.splits, depth)
        steps = depth // splits

        def body(z_ref: Any, x_ref: Any, kernel_ref: Any, y_ref: Any) -> None:
            start = pl.program_id(1) * steps
            x = x_ref[...]

            def add(k: Array, y: Array) -> Array:
                z = plgpu.load(z_ref.at[:, start + k])
                weights = plgpu.load(kernel_ref.at[start + k, pl.ds(0, width), :])
                # One slice of z⊗x at a time, in registers: it never reaches memory.
                return y + self._dot(z[:, None] * x, weights)

            y_ref[...] = jax.lax.fori_loop(0, steps, add, jnp.zeros((rows, out), x.dtype))

        parts = self._call(
            body,
            jax.ShapeDtypeStruct((splits, n, out), x.dtype),
            grid=(n // rows, splits),
            in_specs=[
                pl.BlockSpec((rows, depth), lambda i, s: (i, 0)),
                pl.BlockSpec((rows, width), lambda i, s: (i, 0)),
                pl.BlockSpec(kernel.shape, lambda i, s: (0, 0, 0)),
            ],
            out_specs=pl.BlockSpec((None, rows, out), lambda i, s: (s, i, 0)),
        )(z, x, self._cast(kernel))
        # Added here and not by atomics, so that a result does not depend on their order.
        y: Array = parts.sum(0)[:size]
        return y

    def row_gradients(self, z: Array, x: Array, kernel: Array, dy: Array) -> tuple[Array, Array]:
        """Compute the gradients of z and x, without the last i."""
        size = len(z)
        z, x, dy = self._padded(z), self._padded(x), self._padded(dy)
        (n, depth), (_, width), out = z.shape, x.shape, kernel.shape[-1]
        rows, splits = self.tiling.rows, min(self.tiling.splits, depth)
        steps = depth // splits

        def body(
            z_ref: Any, x_ref: Any, kernel_ref: Any, dy_ref: Any, dz_ref: Any, dx_ref: Any
        ) -> None:
            start = pl.program_id(1) * steps
            x, dy = x_ref[...], dy_ref[...]

            def add(k: Array, dx: Array) -> Array:
                weights = plgpu.load(kernel_ref.at[start + k, pl.ds(0, width), :])
                # One product serves both gradients.
                product = self._dot(dy, weights.T)
                plgpu.store(dz_ref.at[:, start + k], (product * x).sum(1))
                return dx + plgpu.load(z_ref.at[:, start + k])[:, None] * product

            dx_ref[...] = jax.lax.fori_loop(0, steps, add, jnp.zeros((rows, width), x.dtype))

        dz, dx = self._call(
            body,
            (
                jax.ShapeDtypeStruct((n, depth), x.dtype),
                jax.ShapeDtypeStruct((splits, n, width), x.dtype),
            ),
            grid=(n // rows, splits),
            in_specs=[
                pl.BlockSpec((rows, depth), lambda i, s: (i, 0)),
                pl.BlockSpec((rows, width), lambda i, s: (i, 0)),
                pl.BlockSpec(kernel.shape, lambda i, s: (0, 0, 0)),
                pl.BlockSpec((rows, out), lambda i, s: (i, 0)),
            ],
            out_specs=(
                pl.BlockSpec((rows, depth), lambda i, s: (i, 0)),
                pl.BlockSpec((None, rows, width), lambda i, s: (s, i, 0)),
            ),
        )(z, x, self._cast(kernel), dy)
        return dz[:size], dx.sum(0)[:size]

    def kernel_gradient(self, z: Array, x: Array, dy: Array) -> Array:
        """Compute the gradient of the kernel (K, I, O), without the last i."""
        z, x, dy = self._padded(z), self._padded(x), self._padded(dy)
        (n, depth), (_, width), (_, out) = z.shape, x.shape, dy.shape
        rows = self.tiling.rows

        def body(z_ref: Any, x_ref: Any, dy_ref: Any, d_kernel_ref: Any) -> None:
            # A program for each k reads all rows, so that no two write to the same place.
            k = pl.program_id(0)

            def add(i: Array, total: Array) -> Array:
                block = pl.ds(i * rows, rows)
                left = plgpu.load(z_ref.at[block, k])[:, None] * plgpu.load(x_ref.at[block, :])
                return total + self._dot(left.T, plgpu.load(dy_ref.at[block, :]))

            total = jax.lax.fori_loop(0, n // rows, add, jnp.zeros((width, out), x.dtype))
            d_kernel_ref[...] = total

        found: Array = self._call(
            body,
            jax.ShapeDtypeStruct((depth, width, out), x.dtype),
            grid=(depth,),
            in_specs=[pl.BlockSpec(a.shape, lambda k: (0, 0)) for a in (z, x, dy)],
            out_specs=pl.BlockSpec((None, width, out), lambda k: (k, 0, 0)),
        )(z, x, dy)
        return found

    def _call(self, body: Any, out_shape: Any, **options: Any) -> Any:
        """Make a kernel of a function of references."""
        call = pl.pallas_call(
            body,
            out_shape,
            compiler_params=plgpu.CompilerParams(
                num_warps=self.tiling.warps, num_stages=self.tiling.stages
            ),
            interpret=self.interpret,
            **options,
        )

        def run(*arrays: Array) -> Any:
            # The precision of products is read when the kernel is traced, which is now.
            with jax.default_matmul_precision(self.precision):
                return call(*arrays)

        return run

    def _dot(self, x: Array, y: Array) -> Array:
        """Multiply two tiles."""
        return jnp.dot(self._cast(x), self._cast(y), preferred_element_type=x.dtype)

    def _cast(self, x: Array) -> Array:
        return x.astype(jnp.bfloat16) if self.low_precision else x

    def _padded(self, x: Array) -> Array:
        """Fill up with zeros to whole tiles of rows."""
        # They add nothing to sums over rows, and rows of results beyond the last are cut off.
        return jnp.pad(x, ((0, -len(x) % self.tiling.rows), (0, 0)))
