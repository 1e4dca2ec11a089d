"""Comparison with the released PyTorch code: same crystals, same weights, same machine.

    git clone https://github.com/hyllios/CGAT
    pip install torch torch_geometric          # torch_scatter if available
    python benchmarks/vs_reference.py --reference CGAT pbe_000.json.bz2 --size released

Measures featurization, batches, forward passes, training steps and peak memory of both codes. Each
code has a process of its own, so that memory is measured separately. The reference's worker makes
random weights, and both predict with them. Everything timed has run once before; compilation is
reported separately.

Prints a table in Markdown with the ratio of both codes (above 1 is faster, for memory more), and
the largest difference of the predictions relative to the largest prediction.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SIZES = {
    "released": {"edge_dim": 128, "heads": 5},
    "paper": {"edge_dim": 512, "heads": 6},
    "small": {"edge_dim": 32, "heads": 2, "node_dim": 24, "steps": 2},
}
HOW_TO = """{why}
Get the reference with
    git clone https://github.com/hyllios/CGAT
    pip install torch torch_geometric
and give its folder: --reference CGAT"""
Result = dict[str, Any]


def rate(work: Callable[[], Any], seconds: float) -> float:
    """Return calls per second, over at least `seconds` and one call."""
    calls, began = 0, time.perf_counter()
    while calls == 0 or time.perf_counter() - began < seconds:
        work()
        calls += 1
    return calls / (time.perf_counter() - began)


def peak_memory() -> float:
    """Return the peak memory of this process in GiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 2**30


def install_scatter() -> str:
    """Make `import torch_scatter` work, and return the name of the implementation."""
    try:
        import torch_scatter
    except ImportError:
        from torch_geometric.utils import scatter

        def reducing(reduce: str) -> Callable[..., Any]:
            def reduced(src: Any, index: Any, dim: int = -1, dim_size: Any = None) -> Any:
                return scatter(src, index.view(-1), dim=dim, dim_size=dim_size, reduce=reduce)

            return reduced

        stand_in = types.ModuleType("torch_scatter")
        stand_in.scatter_add = reducing("sum")  # type: ignore[attr-defined]
        stand_in.scatter_mean = reducing("mean")  # type: ignore[attr-defined]
        largest = reducing("max")
        stand_in.scatter_max = lambda *a, **k: (largest(*a, **k), None)  # type: ignore[attr-defined]
        sys.modules["torch_scatter"] = stand_in
        return "torch_geometric.utils.scatter"
    return f"torch_scatter {torch_scatter.__version__}"


def install_torchvision() -> None:
    """Make `import torchvision.utils` work; the reference imports it without using it."""
    try:
        import torchvision.utils  # noqa: F401
    except ImportError:
        for name in ("torchvision", "torchvision.utils"):
            sys.modules[name] = types.ModuleType(name)


def reference_entries(crystals: list[Any]) -> list[Any]:
    """Convert crystals to the input of the reference's `prepare`."""
    from pymatgen.core import Structure

    entries = []
    for crystal in crystals:
        structure = Structure(crystal.lattice, crystal.atomic_numbers, crystal.frac_coords)
        data = {"id": crystal.id, "e-form": 0.1 * len(entries)}
        entry = {"data": data, "structure": structure, "composition": structure.composition}
        entries.append(types.SimpleNamespace(**entry))
    return entries


def run_reference(args: argparse.Namespace, folder: Path) -> Result:
    """Measure the reference's code, in its worker process."""
    sys.path.insert(0, str(Path(args.reference).resolve()))
    scatter = install_scatter()
    install_torchvision()
    import torch
    from CGAT.CGAT import CGAtNet
    from CGAT.data import CompositionData
    from CGAT.prepare_data import build_dataset_prepare
    from CGAT.roost_message import collate_batch
    from torch_geometric.data import Batch

    crystals = read(args)
    entries = reference_entries(crystals)
    vectors = str(Path(args.reference) / "embeddings" / "matscholar-embedding.json")
    options = {"target_property": ["e-form"], "fea_path": vectors, "radius": 18.0}
    began = time.perf_counter()
    features = build_dataset_prepare(entries, **options)
    per_crystal = (time.perf_counter() - began) / len(entries)
    data = CompositionData(features, vectors, max_neighbor_number=24, target="e-form")

    def batched() -> Any:
        items = [data[i] for i in range(len(data))]
        graphs = Batch.from_data_list([item[0] for item in items])
        return graphs, collate_batch([item[1] for item in items])

    sizes = {"node_dim": 128, "steps": 5, **SIZES[args.size]}
    torch.manual_seed(0)
    net = CGAtNet(
        200,
        sizes["node_dim"],
        sizes["steps"],
        nbr_embedding_size=sizes["edge_dim"],
        neighbor_number=24,
        mean_pooling=False,
        rezero=True,
        msg_heads=sizes["heads"],
        update_edges=True,
        vector_attention=True,
        global_vector_attention=True,
        n_graph_roost=3,
    )
    for name, parameter in net.named_parameters():
        if name.endswith("alpha"):  # initialized as zero, which would disable most of the head
            torch.nn.init.constant_(parameter, 0.5)
    graphs, composition = batched()
    optimizer = torch.optim.AdamW(net.parameters(), lr=1.25e-4, weight_decay=1e-6)

    def forward() -> Any:
        with torch.no_grad():
            return net(graphs, composition)

    def step() -> None:
        optimizer.zero_grad()
        output = net(graphs, composition)
        torch.nn.functional.l1_loss(output[:, 0], graphs.y.view(-1)).backward()
        optimizer.step()

    prediction = forward().numpy()
    weights = {name: tensor.numpy() for name, tensor in net.state_dict().items()}
    np.savez(folder / "weights.npz", **weights)
    np.savez(folder / "prediction.npz", prediction=prediction, target=graphs.y.view(-1).numpy())
    result = {
        "features/s": 1 / per_crystal,
        "batches/s": rate(batched, args.seconds),
        "forward/s": rate(forward, args.seconds),
    }
    step()
    result |= {"training steps/s": rate(step, args.seconds), "peak memory, GiB": peak_memory()}
    versions = f"torch {torch.__version__}, {torch.get_num_threads()} threads, {scatter}"
    return {**result, "versions": versions, "parameters": sum(w.size for w in weights.values())}


def run_ours(args: argparse.Namespace, folder: Path) -> Result:
    """Measure cgatjax, in its worker process."""
    from cgatjax.runtime.allocator import keep_freed_memory

    keep_freed_memory()  # as the commands do, before pyarrow is imported
    import jax
    from training_step import repeated_step

    from cgatjax import reference
    from cgatjax.config import GraphConfig, TrainConfig
    from cgatjax.data.batching import assemble, snug_budget
    from cgatjax.graphs.crystal_graph import featurize
    from cgatjax.graphs.graph_arrays import GraphArrays
    from cgatjax.graphs.reduction import reduce_graph
    from cgatjax.model.network import Network

    crystals = read(args)
    with np.load(folder / "weights.npz") as file:
        weights = {name: file[name] for name in file.files}
    with np.load(folder / "prediction.npz") as file:
        expected, target = file["prediction"], file["target"]
    config = reference.config_from_state_dict(weights, "e-form")
    params = dict(reference.params_from_state_dict(weights, config))
    graph_config = GraphConfig.released()

    def featurized() -> list[Any]:
        return [reduce_graph(featurize(crystal, graph_config)) for crystal in crystals]

    graphs = featurized()
    arrays = GraphArrays.from_graphs(graphs, {"e-form": target})
    budget = snug_budget(arrays)
    batch = jax.device_put(assemble(arrays, budget))
    network = Network(config)
    apply = network.jitted("apply")
    began = time.perf_counter()
    prediction = np.asarray(apply(params, batch)["e-form"])[: len(crystals)]
    seconds_forward = time.perf_counter() - began
    result = {
        "features/s": len(crystals) * rate(featurized, args.seconds),
        "batches/s": rate(lambda: assemble(arrays, budget), args.seconds),
        "forward/s": rate(lambda: jax.block_until_ready(apply(params, batch)), args.seconds),
    }
    step = repeated_step(
        network.apply,
        params,
        batch,
        config=TrainConfig(learning_rate=1.25e-4, weight_decay=1e-6),
    )

    def trained() -> None:
        step().loss.block_until_ready()

    began = time.perf_counter()
    trained()
    seconds_step = time.perf_counter() - began
    result |= {"training steps/s": rate(trained, args.seconds), "peak memory, GiB": peak_memory()}
    scale = float(np.abs(expected).max())
    return {
        **result,
        "versions": f"jax {jax.__version__} on {jax.devices()[0].platform}",
        "largest difference of predictions": float(np.abs(prediction - expected).max()) / scale,
        "seconds to compile": {"forward": seconds_forward, "training step": seconds_step},
        "nodes": [int(sum(g.n_nodes for g in graphs)), int(sum(g.n_sites for g in graphs))],
    }


def read(args: argparse.Namespace) -> list[Any]:
    """Read the crystals of the comparison, the same in each worker."""
    from cgatjax.structures.crystal import Crystal
    from cgatjax.structures.readers import read_crystals
    from cgatjax.synthetic.dataset import ionic_crystals

    if not args.inputs:
        return ionic_crystals(args.crystals)
    found = [c for c in read_crystals(args.inputs) if isinstance(c, Crystal)]
    # The reference's composition step fails on elements at the end of a batch.
    found = [c for c in found if len(set(c.atomic_numbers.tolist())) > 1]
    return found[:: max(1, len(found) // args.crystals)][: args.crystals]


def in_worker(name: str, arguments: list[str], folder: Path) -> Result:
    """Run a worker process and read its results."""
    out = folder / f"{name}.json"
    command = [sys.executable, __file__, *arguments, "--worker", name, "--folder", str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode or not out.exists():
        raise SystemExit(
            HOW_TO.format(why=f"the worker of {name} failed:\n{done.stdout[-3000:]}\n")
        )
    return json.loads(out.read_text())


def report(args: argparse.Namespace, theirs: Result, ours: Result) -> str:
    """Format the table in Markdown."""
    names = [n for n in theirs if isinstance(theirs[n], float)]
    lines = ["| | reference | cgatjax | ratio |", "|---|---|---|---|"]
    for name in names:
        ratio = ours[name] / theirs[name]
        lines.append(f"| {name} | {theirs[name]:.4g} | {ours[name]:.4g} | {ratio:.3g} |")
    nodes, sites = ours["nodes"]
    return "\n".join(
        [
            f"{args.size}: {theirs['parameters']} parameters, {args.crystals} crystals with "
            f"{sites} sites ({nodes} classes), {os.cpu_count()} cores of {platform.machine()}",
            f"reference: {theirs['versions']}; cgatjax: {ours['versions']}",
            "",
            *lines,
            "",
            "largest difference of predictions, relative to the largest one: "
            f"{ours['largest difference of predictions']:.2g}",
            "seconds to compile, not included above: "
            + ", ".join(f"{k} {v:.1f}" for k, v in ours["seconds to compile"].items()),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("inputs", nargs="*", help="files of crystals; default: synthetic data set")
    parser.add_argument("--reference", help="folder of a checkout of hyllios/CGAT")
    parser.add_argument("--size", choices=SIZES, default="released", help="network")
    parser.add_argument("--crystals", type=int, default=32, help="crystals in the batch")
    parser.add_argument("--seconds", type=float, default=10.0, help="measuring time of each number")
    parser.add_argument("--json", metavar="FILE", help="file for all numbers as JSON")
    parser.add_argument("--worker", choices=["reference", "cgatjax"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.reference is None or not (Path(args.reference) / "CGAT" / "CGAT.py").is_file():
        why = "no checkout given." if args.reference is None else f"no CGAT in {args.reference}."
        raise SystemExit(HOW_TO.format(why=why))
    if args.worker:
        run = run_reference if args.worker == "reference" else run_ours
        result = run(args, Path(args.folder))
        (Path(args.folder) / f"{args.worker}.json").write_text(json.dumps(result))
        return
    with tempfile.TemporaryDirectory() as folder:
        theirs = in_worker("reference", sys.argv[1:], Path(folder))
        ours = in_worker("cgatjax", sys.argv[1:], Path(folder))
    print(report(args, theirs, ours))
    if args.json:
        Path(args.json).write_text(json.dumps({"reference": theirs, "cgatjax": ours}, indent=1))


if __name__ == "__main__":
    main()
