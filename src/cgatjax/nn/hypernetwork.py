"""Hypernetwork: a small network whose weights are produced per row from another input."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from cgatjax.nn.mlp import GatheredRows, matmul, matmul_precision, normal, uniform, uniform_fan_in

LAYERS = 4
"""Layers of the produced network (reference: `H_Net`, three hidden ones and the last)."""
PRODUCER_LAYERS = 4
"""Tanh layers of the MLP that produces the weights of one layer."""
NORM_EPSILON = 1e-5
"""torch's LayerNorm epsilon."""


def layer_norm(x: Array) -> Array:
    """LayerNorm without scale or offset over the last axis, statistics in float32 at least."""
    centered = x - x.mean(-1, keepdims=True)
    return centered * jax.lax.rsqrt((centered * centered).mean(-1, keepdims=True) + NORM_EPSILON)


def bilinear(
    z: Array, x: Array, kernel: Array, low_precision: bool = False, fused: bool = False
) -> Array:
    """Compute y_no = sum_ki z_nk x_ni K_kio: (n, K), (n, I), (K, I, O) -> (n, O).

    Two orders with equally many multiplications: the weights sum_k z_nk K_kio of every row, applied
    to x, or the products z_nk x_ni times K. The first is 1.4 to 2.1 times faster on CPUs, whose
    vector units need no copies of x; accelerators take the second, one large matrix product. The
    backward pass computes the products instead of keeping anything (docs/performance.md). `fused`
    forms them inside a GPU's kernels, where the widths allow it.
    """
    # Handed to the backward pass, which is traced where this default holds no longer.
    precision = matmul_precision()
    if fused:
        from cgatjax.nn.bilinear_kernels import fused_bilinear, is_supported

        if is_supported(kernel):
            on_cpu = jax.default_backend() == "cpu"  # in tests
            return fused_bilinear(z, x, kernel, low_precision, precision, interpret=on_cpu)
    return _bilinear(z, x, kernel, low_precision, precision)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def _bilinear(
    z: Array, x: Array, kernel: Array, low_precision: bool, precision: str | None
) -> Array:
    def produced(z: Array, x: Array, kernel: Array) -> Array:
        weights = (z @ kernel.reshape(len(kernel), -1)).reshape(len(z), *kernel.shape[1:])
        return jnp.einsum("ni,nio->no", x, weights)

    def multiplied(z: Array, x: Array, kernel: Array) -> Array:
        return matmul(_products(z, x), kernel.reshape(-1, kernel.shape[-1]), low_precision)

    if low_precision:
        return multiplied(z, x, kernel)
    return jax.lax.platform_dependent(z, x, kernel, cpu=produced, default=multiplied)


def _products(z: Array, x: Array) -> Array:
    """Outer product of each row: (n, K), (n, I) -> (n, K*I)."""
    return (z[:, :, None] * x[:, None, :]).reshape(len(z), -1)


def _bilinear_forward(
    z: Array, x: Array, kernel: Array, low_precision: bool, precision: str | None
) -> tuple[Array, tuple[Array, Array, Array]]:
    return _bilinear(z, x, kernel, low_precision, precision), (z, x, kernel)


def _bilinear_backward(
    low_precision: bool, precision: str | None, kept: tuple[Array, Array, Array], dy: Array
) -> tuple[Array, Array, Array]:
    # First barrier: the products must not be computed again before their gradient arrives, or those
    # of all layers would be in memory at once. Second barrier: the transposed products are written
    # as such, because XLA's CPU backend is slow at transposing the left factor of a product; TPUs
    # form them within the product.
    barrier = jax.lax.optimization_barrier
    z, x, kernel, dy = barrier((*kept, dy))
    products = (z.T[:, None, :] * x.T[None, :, :]).reshape(-1, len(z))
    products = jax.lax.platform_dependent(products, tpu=lambda p: p, default=barrier)
    flat = kernel.reshape(-1, kernel.shape[-1])
    with jax.default_matmul_precision(precision):
        d_kernel = matmul(products, dy, low_precision).reshape(kernel.shape)
        d_products = matmul(dy, flat.T, low_precision).reshape(-1, *kernel.shape[:2])
    dz = (d_products * x[:, None, :]).sum(2)
    dx = (d_products * z[:, :, None]).sum(1)
    return dz, dx, d_kernel


_bilinear.defvjp(_bilinear_forward, _bilinear_backward)


class _ProducedLayer(nn.Module):
    """Produced layer y = [x | 1] W(z), whose weights and bias an MLP of z produces.

    The last layer of that MLP, linear, is held as a tensor K of shape (D, D + 1, D) and a matrix B,
    W(z)_io = sum_k t_k K_kio + B_io, where t are its hidden states and row i = D is the bias.
    """

    width: int
    low_precision: bool
    fused: bool

    @nn.compact
    def __call__(self, x: Array, z: Array, row: Array | None) -> Array:
        """Apply to x (n, D) with z (rows, D); `row` is the row of z for each row of x, or None."""
        width, low = self.width, self.low_precision
        for i in range(PRODUCER_LAYERS):
            kernel = self.param(f"kernel_{i}", normal(2 / width), (width, width))
            bias = self.param(f"bias_{i}", uniform_fan_in(width), (width,))
            z = nn.tanh(matmul(z, kernel, low) + bias)
        kernel = self.param("kernel_out", normal(2e-2 / width), (width, width + 1, width))
        bias = self.param("bias_out", uniform_fan_in(width), (width + 1, width))
        x = jnp.concatenate([x, jnp.ones_like(x[:, :1])], 1)
        if self.fused and row is not None:
            z, row = z[row], None
        if row is None:
            return bilinear(z, x, kernel, low, self.fused) + x @ bias
        # Few z for many x: here the weights of each z are worth writing down.
        weights = matmul(z, kernel.reshape(width, -1), low).reshape(-1, *bias.shape) + bias
        return jnp.einsum("ni,nio->no", x, weights[row])


class Hypernetwork(nn.Module):
    """Hypernetwork Hyper(x; z) of docs/concepts/network.md: (n, D), (n, D) -> (n, D).

    Where few different z serve many rows, z comes as those few rows and a gather index: the weights
    are then produced once for each of them (docs/concepts/network.md, saving 5).
    """

    width: int
    low_precision: bool = False
    fused: bool = False

    @nn.compact
    def __call__(self, x: Array, z: GatheredRows) -> Array:
        """Apply the network that z produces to x, row by row."""
        for i in range(LAYERS):
            layer = _ProducedLayer(self.width, self.low_precision, self.fused, name=f"layer_{i}")
            x = layer(x, z.rows, z.index)
            if i < LAYERS - 1:
                x = nn.tanh(layer_norm(x))
        return x


class DampedHypernetwork(nn.Module):
    """Hypernetwork with a learned damping d of its input: z = d*start + (1 - d)*x.

    In the first step (`first`) z is the start state, which is the current one then. d is kept in
    [0, 1] by a projection after each optimizer step (`training.optimizer.project_damping`).
    """

    width: int
    first: bool
    low_precision: bool = False
    fused: bool = False

    @nn.compact
    def __call__(self, x: Array, start: GatheredRows) -> Array:
        """Compute the update (n, D) from aggregated messages x (n, D) and the start state."""
        z = start
        if not self.first:
            damping = self.param("damping", uniform(), ())
            z = GatheredRows(damping * start.gather() + (1 - damping) * x)
        return Hypernetwork(self.width, self.low_precision, self.fused, name="hyper")(x, z)
