"""Kernels: check and time the Pallas kernels of a GPU against the plain path.

    python benchmarks/kernels.py --json kernels.json

Sizes are those of a batch of 512 crystals at paper size: 3,200 nodes, 47,616 edges, width 128, 6
heads, hidden width 512. Errors are relative norms against the plain path in true float32. A
failure is printed with its traceback, and the others go on.
"""

import time
import traceback
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import machine
import numpy as np

from cgatjax.model.network import MATMUL_PRECISION
from cgatjax.nn import bilinear_kernels, message_kernels
from cgatjax.nn.bilinear_kernels import fused_bilinear
from cgatjax.nn.edge_network import EdgeNetwork
from cgatjax.nn.hypernetwork import bilinear
from cgatjax.nn.message_kernels import Options, chunked, fused_messages, plain_messages
from cgatjax.nn.mlp import matmul

BILINEAR = [
    bilinear_kernels.Tiling(rows=64, splits=4, warps=8, stages=2),
    bilinear_kernels.Tiling(rows=128, splits=8, warps=8, stages=2),
    bilinear_kernels.Tiling(rows=64, splits=8, warps=8, stages=1),
]
MESSAGES = [
    message_kernels.Tiling(edges=64, hidden=32, warps=8, stages=2),
    message_kernels.Tiling(edges=128, hidden=32, warps=8, stages=2),
    message_kernels.Tiling(edges=64, hidden=32, warps=8, stages=3),
]


def bilinear_cases(precision: str) -> dict[str, Callable[..., Any]]:
    """Make the plain function of (z, x, kernel) and those of each tiling."""
    low, name = precision == "bfloat16", MATMUL_PRECISION[precision]

    def plain(z: Any, x: Any, kernel: Any) -> Any:
        with jax.default_matmul_precision(name):
            return bilinear(z, x, kernel, low)

    def fused(tiling: Any) -> Callable[..., Any]:
        return lambda z, x, kernel: fused_bilinear(z, x, kernel, low, name, tiling, on_cpu())

    return {"plain": plain, **{_name(tiling): fused(tiling) for tiling in BILINEAR}}


def message_cases(edges: Any, nodes: int, precision: str) -> dict[str, Callable[..., Any]]:
    """Make the plain function of the two edge networks and those of each tiling."""
    low, name = precision == "bfloat16", MATMUL_PRECISION[precision]

    def plain(attention: Any, message: Any) -> Any:
        with jax.default_matmul_precision(name):
            return plain_messages((attention, message), edges, Options(nodes, False, low, name))

    def fused(tiling: Any) -> Callable[..., Any]:
        options = Options(nodes, False, low, name, tiling, on_cpu())

        def run(attention: Any, message: Any) -> Any:
            layout = chunked(edges[1], edges[2], nodes, tiling.edges)
            return fused_messages((attention, message), edges, layout, options)

        return run

    return {"plain": plain, **{_name(tiling): fused(tiling) for tiling in MESSAGES}}


def on_cpu() -> bool:
    """True where kernels can only be interpreted: slowly, at small sizes, to try this script."""
    return jax.default_backend() == "cpu"


def first_step_cases(precision: str, row: Any) -> dict[str, Callable[..., Any]]:
    """Make the ways to apply weights that few z produce, z of an element, to many rows."""
    low, name = precision == "bfloat16", MATMUL_PRECISION[precision]

    def gathered(z: Any, x: Any, kernel: Any) -> Any:
        with jax.default_matmul_precision(name):
            weights = matmul(z, kernel.reshape(len(kernel), -1), low)
            return jnp.einsum("ni,nio->no", x, weights.reshape(-1, *kernel.shape[1:])[row])

    def multiplied(z: Any, x: Any, kernel: Any) -> Any:
        with jax.default_matmul_precision(name):
            return bilinear(z[row], x, kernel, low)

    return {"weights gathered": gathered, "z gathered": multiplied}


def _name(tiling: Any) -> str:
    return ", ".join(f"{k} {v}" for k, v in tiling._asdict().items())


def random_bilinear(nodes: int, width: int) -> tuple[Any, ...]:
    """Draw z, x with a last column of ones, and the kernel."""
    keys = jax.random.split(jax.random.key(0), 3)
    x = jax.random.normal(keys[1], (nodes, width))
    kernel = jax.random.normal(keys[2], (width, width + 1, width)) / width
    x = jnp.concatenate([x, jnp.ones((nodes, 1))], 1)
    return jnp.tanh(jax.random.normal(keys[0], (nodes, width))), x, kernel


def random_messages(
    nodes: int, edges: int, heads: int, hidden: int, width: int
) -> tuple[Any, tuple[EdgeNetwork, EdgeNetwork]]:
    """Draw edges, and the factors of both edge networks."""
    random = np.random.default_rng(0)
    center = np.sort(random.integers(0, nodes, edges)).astype(np.int32)
    near = np.clip(center + random.integers(-4, 5, edges), 0, nodes - 1).astype(np.int32)
    shell = random.integers(1, 25, edges).astype(np.int32)
    weights = random.integers(1, 4, edges).astype(np.float32)
    found = jax.device_put(((near, shell, center), near, weights))
    keys = iter(jax.random.split(jax.random.key(1), 20))

    def draw(*shape: int, scale: float = 1.0) -> jax.Array:
        return scale * jax.random.normal(next(keys), shape)

    def network() -> EdgeNetwork:
        rows = (draw(heads, nodes, hidden), draw(heads, 25, hidden), draw(heads, nodes, hidden))
        kernel = draw(heads, hidden, width, scale=hidden**-0.5)
        return EdgeNetwork(rows, draw(heads, hidden), kernel, draw(heads, width))

    return found, (network(), network())


def compare(
    label: str, cases: dict[str, Callable[..., Any]], arguments: Any, exact: Any, least: float
) -> list[dict[str, Any]]:
    """Check and time forward pass and gradient of every case."""
    rows = []
    numbers = tuple(range(len(arguments)))
    for name, function in cases.items():
        # Messages are fused in the forward pass alone.
        no_gradient = label.startswith("messages") and name != "plain"
        for kind in ("forward",) if no_gradient else ("forward", "gradient"):
            row: dict[str, Any] = {"kernel": label, "kind": kind, "tiling": name}
            try:
                if kind == "forward":
                    made = jax.jit(function)
                else:
                    made = jax.jit(jax.grad(_loss(function), numbers))
                began = time.perf_counter()
                found = jax.block_until_ready(made(*arguments))
                row["first_call"] = time.perf_counter() - began
                row["error"] = relative_error(found, exact[kind])
                row["ms"] = 1e3 * machine.dispatched_seconds(lambda m=made: m(*arguments), least)
            except Exception as problem:
                traceback.print_exc(limit=-4)
                row["failure"] = repr(problem)[:500]
            print(
                {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()}, flush=True
            )
            rows.append(row)
    return rows


def _loss(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *arguments: (function(*arguments) ** 2).sum()


def relative_error(found: Any, exact: Any) -> float:
    """Return the norm of the difference over the norm, of all leaves together."""
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(exact), strict=True)
    sums = [(float(((a - b) ** 2).sum()), float((b**2).sum())) for a, b in pairs]
    return float((sum(a for a, _ in sums) / sum(b for _, b in sums)) ** 0.5)


def exact_results(function: Callable[..., Any], arguments: Any) -> dict[str, Any]:
    """Compute forward pass and gradient of the plain path in true float32."""
    gradient = jax.grad(_loss(function), tuple(range(len(arguments))))
    return {"forward": jax.jit(function)(*arguments), "gradient": jax.jit(gradient)(*arguments)}


def main() -> None:
    parser = machine.parser(__doc__)
    parser.add_argument(
        "--precisions",
        nargs="+",
        choices=MATMUL_PRECISION,
        default=["tf32", "bfloat16"],
        help="precisions of the matrix products",
    )
    parser.add_argument("--nodes", type=int, help="nodes of the batch", default=3200)
    parser.add_argument("--edges", type=int, help="edges of the batch", default=47616)
    parser.add_argument("--heads", type=int, help="attention heads", default=6)
    parser.add_argument("--hidden", type=int, help="hidden width of the edge networks", default=512)
    parser.add_argument("--width", type=int, help="width of the node states", default=128)
    parser.add_argument("--seconds", type=float, default=0.1, help="measuring time of each number")
    args = parser.parse_args()
    rows: list[dict[str, Any]] = []
    arguments: Any = random_bilinear(args.nodes, args.width)
    exact = exact_results(bilinear_cases("float32")["plain"], arguments)
    for precision in args.precisions:
        cases = bilinear_cases(precision)
        rows += compare(f"bilinear {precision}", cases, arguments, exact, args.seconds)
    element = jax.device_put(np.random.default_rng(0).integers(0, 104, args.nodes))
    arguments = (arguments[0][:104], *arguments[1:])
    exact = exact_results(first_step_cases("float32", element)["z gathered"], arguments)
    for precision in args.precisions:
        cases = first_step_cases(precision, element)
        rows += compare(f"first step {precision}", cases, arguments, exact, args.seconds)
    edges, arguments = random_messages(args.nodes, args.edges, args.heads, args.hidden, args.width)
    exact = exact_results(message_cases(edges, args.nodes, "float32")["plain"], arguments)
    for precision in args.precisions:
        cases = message_cases(edges, args.nodes, precision)
        rows += compare(f"messages {precision}", cases, arguments, exact, args.seconds)
    machine.write({"machine": machine.description(), "results": rows}, args.json, show=False)


if __name__ == "__main__":
    main()
