"""Communication: bytes that devices exchange per training step, and the estimated time.

    python benchmarks/communication.py --json communication.json

Lowers the training step of each preset for two devices, and adds up the operands of its
all-reduces; --compile counts them in XLA's compiled program instead (minutes for the large
presets). Prints a table in Markdown: bytes per step and milliseconds over three kinds of links.

The times are a model, not a measurement: no communication overlaps with computation, and a ring
all-reduce of 8 devices sends 2 (n - 1) / n of the bytes through each link.
"""

import os
import re

os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=2"
)
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import machine
import numpy as np

import cgatjax as cg
from cgatjax.model.losses import LOSSES
from cgatjax.model.network import Network
from cgatjax.runtime.devices import Devices
from cgatjax.structures.elements import ElementTable
from cgatjax.training.optimizer import FROZEN, make_optimizer
from cgatjax.training.train_step import MaskedLoss, init_state, make_train_step
from cgatjax.training.transfer_params import TRAINED, label_parameters

PRESETS = {
    "small": cg.ModelConfig.small,
    "released": cg.ModelConfig.released,
    "paper": cg.ModelConfig.paper,
}
LINKS = {"NVLink, 450 GB/s": 450e9, "InfiniBand, 50 GB/s": 50e9, "Ethernet, 1.25 GB/s": 1.25e9}
"""Name -> bytes per second in each direction."""
DEVICES = 8
ITEM_BYTES = {"f64": 8, "s64": 8, "f32": 4, "s32": 4, "u32": 4, "bf16": 2, "f16": 2, "pred": 1}
ALL_REDUCE = re.compile(r"= (\([^()]*\)|\S+) all-reduce(?:-start)?\(")
ARRAY = re.compile(r"(\w+)\[([\d,]*)\]")


def count_all_reduces(hlo: str) -> tuple[int, int]:
    """Count operations and bytes of the all-reduces in an HLO text."""
    found = ALL_REDUCE.findall(re.sub(r"\{[\d,]*\}|/\*.*?\*/", "", hlo))
    arrays = [array for shapes in found for array in ARRAY.findall(shapes)]
    sizes = [np.prod([int(n) for n in dims.split(",") if n], dtype=int) for _, dims in arrays]
    total = sum(n * ITEM_BYTES[kind] for n, (kind, _) in zip(sizes, arrays, strict=True))
    return len(found), int(total)


def step_program(config: cg.ModelConfig, frozen: bool, compiled: bool) -> tuple[str, int]:
    """Return the HLO text of a training step on two devices, and its trained parameters."""
    graph_config = cg.GraphConfig(max_neighbors=config.max_shells)
    graphs = [cg.reduce_graph(cg.featurize(c, graph_config)) for c in cg.ionic_crystals(4, seed=0)]
    batch = cg.collate(graphs, {"y": np.arange(4.0)})
    network = Network(config.replace(targets=("y",)), ElementTable.named(config.elements))
    params = network.param_shapes()
    rules = [("encoder/*", FROZEN)] if frozen else []
    labels = label_parameters(params, [*rules, ("*", TRAINED)])
    optimizer = make_optimizer(cg.TrainConfig(), labels)
    state = jax.eval_shape(lambda p: init_state(p, optimizer), params)
    sums = MaskedLoss(network.apply, LOSSES["l1"])
    step = make_train_step(sums, optimizer, labels, Devices.choose(2))
    stack = jax.tree.map(lambda x: np.stack([x, x]), batch)
    lowered = jax.jit(step).lower(state, stack, {TRAINED: np.float32(1)}, {"y": (0.0, 1.0)})
    text = lowered.compile().as_text() if compiled else lowered.as_text(dialect="hlo")
    trained = [
        p.size
        for p, label in zip(jax.tree.leaves(params), jax.tree.leaves(labels), strict=True)
        if label != FROZEN
    ]
    return text, sum(trained)


def measure(name: str, trained: str, compiled: bool) -> dict[str, object]:
    """Count the communication of one preset, with all parameters or only the head trained.

    "step_milliseconds_for_90_percent" is the step time with a parallel efficiency of 90 %.
    """
    text, n_params = step_program(PRESETS[name](), trained == "head", compiled)
    operations, n_bytes = count_all_reduces(text)
    per_link = 2 * (DEVICES - 1) / DEVICES * n_bytes
    seconds = {link: per_link / speed for link, speed in LINKS.items()}
    return {
        "preset": name,
        "trained": trained,
        "parameters": n_params,
        "all_reduces": operations,
        "bytes": n_bytes,
        "milliseconds": {link: 1e3 * s for link, s in seconds.items()},
        "step_milliseconds_for_90_percent": {link: 9e3 * s for link, s in seconds.items()},
    }


def table(rows: list[dict[str, object]]) -> str:
    """Format the rows in Markdown."""
    head = ["preset", "trained", "parameters", "all-reduced per step", *LINKS]
    lines = [head, ["---"] * len(head)]
    for row in rows:
        times = [f"{row['milliseconds'][link]:.3g} ms" for link in LINKS]
        size = f"{row['bytes'] / 1e6:.3g} MB"
        lines.append([row["preset"], row["trained"], f"{row['parameters']:,}", size, *times])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    parser = machine.parser(__doc__)
    parser.add_argument(
        "--preset", action="append", choices=list(PRESETS), help="network; repeat (default: all)"
    )
    parser.add_argument("--compile", action="store_true", help="count in the compiled program")
    options = parser.parse_args()
    rows = [
        measure(name, trained, options.compile)
        for name in options.preset or PRESETS
        for trained in ("full", "head")
    ]
    print(table(rows))
    machine.write({"rows": rows}, options.json, show=False)


if __name__ == "__main__":
    main()
