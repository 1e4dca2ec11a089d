"""TPU: cost of a hypernetwork's gradient as XLA's compiler for TPUs estimates it, without a TPU.

    pip install libtpu
    python benchmarks/tpu.py

Compiles the gradient of one hypernetwork (width 128, 3,200 rows: a batch of 512 crystals) in each
precision, and prints CSV: cycles that the compiler expects, bytes that are read and written, and
temporary memory. Each program takes minutes to compile.
"""

import argparse
import os
import re
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import topologies
from jax.sharding import SingleDeviceSharding

from cgatjax.model.network import MATMUL_PRECISION
from cgatjax.nn.hypernetwork import Hypernetwork
from cgatjax.nn.mlp import GatheredRows


def main() -> None:
    """Print the costs by precision."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--topology", default="v5e:2x2x1", help="TPU to compile for")
    parser.add_argument("--rows", type=int, default=3200, help="rows of the batch")
    parser.add_argument("--width", type=int, default=128, help="width of the network")
    args = parser.parse_args()
    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")  # no TPU's metadata server is asked
    devices = topologies.get_topology_desc(platform="tpu", topology_name=args.topology).devices
    on_tpu = SingleDeviceSharding(devices[0])
    x = jax.ShapeDtypeStruct((args.rows, args.width), jnp.float32, sharding=on_tpu)
    print("precision,Mcycles,GB,temporary MB")
    for precision, name in MATMUL_PRECISION.items():
        network = Hypernetwork(args.width, precision == "bfloat16")

        def total(params: Any, x: jax.Array, z: jax.Array, network: Any = network) -> Any:
            return network.apply(params, x, GatheredRows(z)).sum()

        with jax.default_matmul_precision(name):
            params = jax.tree.map(
                lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=on_tpu),
                jax.eval_shape(network.init, jax.random.key(0), x, GatheredRows(x)),
            )
            traced = jax.jit(jax.grad(total, (0, 1, 2))).trace(params, x, x)
            program = traced.lower(lowering_platforms=("tpu",)).compile()
        cycles = re.findall(r'"estimated_cycles":"(\d+)"', program.as_text())
        moved = program.cost_analysis()["bytes accessed"]
        memory = program.memory_analysis().temp_size_in_bytes
        print(
            f"{precision},{sum(map(int, cycles)) / 1e6:.2f},{moved / 1e9:.2f},{memory / 1e6:.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
