"""Suite: all benchmarks of speed one after another.

    python benchmarks/suite.py --out results
    python benchmarks/suite.py crystals.json.gz --store STORE --reference CGAT --out results

Each script runs in its own process, so that memory is measured separately. Without inputs, a
synthetic data set is used; without a checkout of the reference, there is no comparison with it.
On a GPU add `--crystals 512 --sizes paper --precisions float32 tf32 bfloat16`.

Writes the JSON and the log of each script, results.json with all numbers, and table.md, which is
also printed: the measured time or rate, and the time over the floor of network.py.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
Row = tuple[str, str, str]


def run(script: str, arguments: list[str], out: Path) -> Any:
    """Run one script with its log beside its JSON file, and return the JSON."""
    logged(script, [*arguments, "--json", str(out)], out.with_suffix(".log"))
    return json.loads(out.read_text())


def logged(script: str, arguments: list[str], log: Path) -> None:
    """Run one script and write its output to a log."""
    print(f"== {script} {' '.join(arguments)}", flush=True)
    command = [sys.executable, str(HERE / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    log.write_text(done.stdout + done.stderr)
    if done.returncode:
        raise SystemExit(f"{script} failed:\n{(done.stdout + done.stderr)[-3000:]}")


def network_rows(name: str, report: dict[str, Any]) -> list[Row]:
    """Make the table rows of one run of network.py."""
    rows = []
    for kind in ("forward", "step", "head step", "head step, cached embeddings"):
        found = report[kind]
        over = f"{found['over_floor_products']:.2f}" if "flops" in found else ""
        speed = f"{1e3 * found['seconds']:.3g} ms, {found['crystals_per_second']:,.0f} crystals/s"
        rows.append((f"{name}: {kind}", speed, over))
        if kind in ("forward", "step"):
            rows.append((f"{name}: {kind}, first call", f"{found['first_call']:.1f} s", ""))
    full, head = report["step"]["seconds"], report["head step, cached embeddings"]["seconds"]
    rows.append((f"{name}: full step over cached head step", f"{full / head:.0f}", ""))
    rows.append((f"{name}: peak memory", f"{report['peak_memory_gib']:.2f} GiB", ""))
    return rows


def other_rows(results: dict[str, Any]) -> list[Row]:
    """Make the table rows of the other scripts."""
    featurized, assembled = results["featurize"]["released"], results["assemble"]
    assembled = assembled.get("given") or assembled["released"]  # a store, or synthetic data
    predicted = results["inference"]
    return [
        ("featurize, ms per structure", f"{featurized['featurize_ms']:.3g}", ""),
        ("reduce, ms per structure", f"{featurized['reduce_ms']:.3g}", ""),
        (
            f"assemble batches of {assembled['batch_size']}, crystals/s on one core",
            f"{assembled['crystals_per_second']:,.0f}",
            "",
        ),
        (
            f"predict from a store, {predicted['size']}, crystals/s",
            f"{predicted['crystals_per_second']:,.0f}",
            "",
        ),
        *(
            (f"screen, small, {name}, candidates/s", f"{found['per_second']:,.0f}", "")
            for name, found in results["screening"]["small"].items()
            if isinstance(found, dict) and "per_second" in found
        ),
        (
            "padding fraction of training batches, nodes and edges",
            f"{assembled['padding']['nodes']:.1%}, {assembled['padding']['edges']:.1%}",
            "",
        ),
    ]


def table(results: dict[str, Any], networks: dict[str, Any]) -> str:
    """Format all results in Markdown."""
    machine = next(iter(networks.values()))
    rows = [*other_rows(results)]
    for name, report in networks.items():
        rows += network_rows(name, report)
    lines = ["| | measured | over the floor |", "|---|---|---:|"]
    lines += [f"| {a} | {b} | {c} |" for a, b, c in rows]
    for size, found in results.get("reference", {}).items():
        lines += ["", f"Comparison with the reference, {size}:", ""]
        lines += ["| | reference | cgatjax | ratio |", "|---|---:|---:|---:|"]
        theirs, ours = found["reference"], found["cgatjax"]
        for key in (k for k, v in theirs.items() if isinstance(v, float)):
            ratio = ours[key] / theirs[key]
            lines.append(f"| {key} | {theirs[key]:.4g} | {ours[key]:.4g} | {ratio:.3g} |")
    rates = f"{machine['matmul_gflops']:.0f} Gflop/s, copy {machine['copy_gbytes']:.0f} GB/s"
    versions = ", ".join(f"{k} {v}" for k, v in machine["machine"].items())
    return "\n".join([versions, "", f"large product {rates}", "", *lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("inputs", nargs="*", help="files of crystals; default: synthetic data set")
    parser.add_argument("--store", help="store of the same crystals; default: synthetic data set")
    parser.add_argument("--reference", help="folder of a checkout of hyllios/CGAT")
    parser.add_argument("--sizes", nargs="+", default=["released"], help="sizes for network.py")
    parser.add_argument(
        "--precisions", nargs="+", default=["float32"], help="precisions for network.py"
    )
    parser.add_argument("--crystals", type=int, default=32, help="crystals in a network's batch")
    parser.add_argument("--out", required=True, help="folder for the results")
    args = parser.parse_args()
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    store = [args.store] if args.store else []
    results: dict[str, Any] = {
        "featurize": run("featurize.py", args.inputs, out / "featurize.json"),
        "assemble": run("assemble.py", store, out / "assemble.json"),
    }
    results["inference"] = run("inference.py", store, out / "inference.json")
    screening = ["--sizes", "small", "--candidates", "4096"]
    results["screening"] = run("screening.py", screening, out / "screening.json")
    networks = {}
    for size in args.sizes:
        for precision in args.precisions:
            options = ["--size", size, "--precision", precision, "--crystals", str(args.crystals)]
            name = f"{size}, {precision}, {args.crystals} crystals"
            path = out / f"network-{size}-{precision}.json"
            networks[name] = run("network.py", [*args.inputs, *options], path)
    if args.reference:
        results["reference"] = {
            size: run(
                "vs_reference.py",
                [*args.inputs, "--reference", args.reference, "--size", size],
                out / f"reference-{size}.json",
            )
            for size in args.sizes
        }
    logged("memory.py", [*store, "--sizes", "10000", "100000"], out / "memory.log")
    run("growth.py", ["--figure", str(out / "growth.png")], out / "growth.json")
    text = table(results, networks)
    (out / "table.md").write_text(text)
    (out / "results.json").write_text(json.dumps({**results, "network": networks}, indent=1))
    print(text)


if __name__ == "__main__":
    main()
