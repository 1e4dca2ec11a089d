"""Tables of measurements: every cell is that of a file that the command beside it has written.

The files lie in docs/results, most of them as a benchmark's `--json` wrote them.
"""

import json

import numpy as np
import pytest
from tests.doc_tables import (
    RESULTS,
    agrees,
    check,
    check_text,
    measured,
    stored,
    table_under,
    tables_under,
)

from cgatjax.inference.calibration import calibration_report

SPEED, SCREENING = "docs/performance.md", "docs/guides/screening.md"


@pytest.mark.parametrize(
    ("page", "heading", "first", "file"),
    [
        ("results/recipe", "Pre-training on 15,152 PBE", "network", "recipe_pretraining.csv"),
        ("results/recipe", "Transfer", "mode", "recipe_transfer.csv"),
        ("results/pretrained", "Decorated crystals beside", "energies", "decorated.csv"),
        ("results/cif_dialects", "", "dialects", "cif_dialects.csv"),
        ("data", "Pairs", "key", "pairs_relaxed.csv"),
        ("table1", "The README's table", "folder", "local/table1/public_files.csv"),
    ],
)
def test_a_table_is_the_stored_one(page: str, heading: str, first: str, file: str) -> None:
    header, *lines = table_under(f"docs/{page}.md", heading, first)
    rows = stored(file)
    assert header == list(rows[0])
    for cells, row in zip(lines, rows, strict=True):
        for cell, text in zip(cells, row.values(), strict=True):
            assert cell == text or agrees(cell.replace(" M", " million"), [float(text)]), cells


@pytest.mark.parametrize("number", [0, 1])
def test_the_invariances(number: int) -> None:
    found = measured(f"invariances_{('real', 'generated')[number]}")
    header, *lines = tables_under("docs/invariances.md", "", "graphs changed by")[number]
    assert header[1:] == list(found["changed"])
    for change, *cells in lines:
        counts = [row[change] for row in found["changed"].values()]
        check(cells, [100 * n / found["crystals"] for n in counts])
    assert len(lines) == len(next(iter(found["changed"].values())))
    if not number:
        counts = [found["cut"], found["sites"]]
        check_text("docs/invariances.md", "", "ends inside a shell at ", " sites", counts)


def test_featurization_and_batches() -> None:
    _, *lines = table_under(SPEED, "Featurization and batches", "")
    graphs, batches, predictions = (measured(n) for n in ("featurize", "assemble", "inference"))
    expected: dict[str, list[float | None]] = {
        "featurize, ms per structure": [graphs[k]["featurize_ms"] for k in OPTIONS],
        "reduce, ms per structure": [graphs[k]["reduce_ms"] for k in OPTIONS],
        "sites left by the reduction, %": [100 * graphs[k]["nodes_left"] for k in OPTIONS],
        "edges left by the reduction, %": [100 * graphs[k]["edges_left"] for k in OPTIONS],
        "search of the released code, ms per structure": [graphs["released_method_ms"], None],
        "batches of 512 assembled, crystals/s": [None, batches["given"]["crystals_per_second"]],
        "predictions of `small`, crystals/s": [None, predictions["per_processor_second"]],
    }
    assert {label: cells for label, *cells in lines}.keys() == expected.keys()
    for label, *cells in lines:
        check(cells, expected[label])
    padding = [100 * batches["given"]["padding"][k] for k in ("nodes", "edges")]
    of = "crystals of the store above, "
    check_text(SPEED, "Featurization and batches", of, " are padding", padding)


OPTIONS = ("released", "recommended")


def test_the_installation() -> None:
    found = measured("installation")
    _, *lines = table_under("docs/guides/pretrained.md", "", "step")
    steps = ("install", "first_prediction", "second_prediction")
    seconds = [found[f"{step}_seconds"] for step in steps]
    check([cell.removesuffix(" s") for _, cell in lines], seconds)
    sizes = [found[name] for name in ("wheel_mb", "packages", "disk_gb")]
    assert agrees(lines[0][0].split("wheel")[1], sizes)


def test_the_memory_of_a_million_crystals() -> None:
    _, *lines = table_under("docs/reliability.md", "Data larger than memory", "crystals")
    columns = ("crystals", "cpu_seconds_to_first_batch", "crystals_per_cpu_second")
    rows = measured("memory")["rows"]
    for cells, row in zip(lines, rows, strict=True):
        check(cells, [row[k] for k in (*columns, "peak_mb", "anonymous_peak_mb")])
    [training] = measured("memory_train")["rows"]
    values = {
        "mapped files (": rows[-1]["bytes"] / 1e6,
        "imports alone take ": rows[-1]["imports_mb"],
        "trained as well: ": training["peak_mb"],
    }
    for begin, value in values.items():
        check_text("docs/reliability.md", "Data larger than memory", begin, " MB", [value])


METHODS = (
    "structures",
    "graphs",
    "decorated",
    "decorated, shared",
    "screen",
    "screen, filtered",
    "screen, all elements",
)


def test_the_speed_of_screening() -> None:
    _, *lines = table_under(SCREENING, "Speed", "candidates/s")
    columns = [measured(f"screening_{size}")[size] for size in ("small", "released")]
    for method, (_, *cells) in zip(METHODS, lines, strict=True):
        rates = [
            [found[name]["per_processor_second"] for name in (method, "structures")]
            for found in columns
        ]
        check(cells, [value for rate, base in rates for value in (rate, rate / base)])
    peak = measured("screening_small")["peak_memory_gib"]
    check_text(SCREENING, "Speed", "Peak memory was ", " GiB", [peak])
    floors = [c["product_rate"] / c["flops"]["decorated, shared"] for c in columns]
    check_text(SCREENING, "Speed", "a large matrix product, ", " with `released`", floors)


def test_the_floor_of_screening() -> None:
    _, *lines = table_under(SPEED, "Screening", "part")
    parts = {label: float(cell) for label, cell, *_ in lines}
    every = {k: v / 1e6 for k, v in measured("screening_small")["small"]["flops"].items()}
    assert parts["all"] == pytest.approx(every["decorated"], abs=0.005)
    assert agrees(lines[-1][-1].split()[0], [every["decorated, shared"]])
    steps = [v for k, v in parts.items() if k != "all"]
    twice = parts["second and third step, each"]
    assert sum(steps) + twice == pytest.approx(parts["all"], abs=0.02)
    shared = every["decorated"] - every["decorated, shared"]
    assert agrees(lines[0][1], [shared])
    rate = measured("screening_small")["small"]["product_rate"]
    share = every["decorated, shared"] / every["decorated"]
    floor = rate / every["decorated, shared"] / 1e6
    speed = measured("screening_small")["small"]["screen"]["per_processor_second"]
    values = [every["decorated, shared"], 100 * share, rate / 1e9, floor, floor / speed]
    check_text(SPEED, "Screening", "The floor is therefore ", " times", values)
    found = measured("screening_without_network")
    assert found["candidates"] == 1e8
    minutes = found["candidates"] / speed / 60
    used = [found[k] for k in ("processor_seconds", "peak_memory_gib")]
    all_of_it = [*used, minutes, speed]
    check_text(SPEED, "Screening", "ranked and stored in ", " per second]", all_of_it)
    check_text(SCREENING, "Speed", "everything but the network takes ", " minutes", all_of_it[:3])


def test_the_calibration_of_an_ensemble() -> None:
    """The table, and that its row of the ensemble follows from the stored predictions."""
    rows = stored("uncertainty.csv")
    _, *lines = table_under("docs/results/uncertainty.md", "", "standard deviation")
    for (label, *cells), row in zip(lines, rows, strict=True):
        name, *values = row.values()
        assert label == name
        check(cells, [float(value) for value in values])
    columns = {k: np.array([float(r[k]) for r in stored("calibration.csv")])
               for k in ("value", "mean", "std")}  # fmt: skip
    found = calibration_report(*columns.values())
    [row] = [r for r in rows if r["standard deviation"] == "ensemble, spread and aleatoric"]
    kept = [float(row[name]) for name in ("MAE", "rank", "NLL", "area")]
    again = [found.mae, found.spearman, found.nll, found.area]
    assert kept == pytest.approx(again, rel=1e-3, abs=1e-3)


def test_the_step_on_eight_devices() -> None:
    found = list(json.loads((RESULTS / "device_steps.json").read_text()).values())
    header, *lines = table_under("docs/scaling.md", "Equality of the steps", "")
    assert header[1:] == ["shard_map", "pmap"]
    order = [(0, 2), (1, 3), (4, 6), (5, 7)]
    for (_, *cells), places in zip(lines, order, strict=True):
        check(cells, [found[k] for k in places])


def test_the_pairs_of_public_data() -> None:
    """What `cgatjax pairs` printed: twice for each pair of sets, by id and by graph."""
    keys = {row["key"]: row for row in stored("pairs_relaxed.csv")}
    both = [keys[key]["ambiguous"] for key in ("graph", "graph, then formula")]
    assert both[1].startswith(f"{both[0]} and ")
    for row in keys.values():
        pairs, *parts = (int(row[k].replace(",", "")) for k in list(row)[1:5])
        assert pairs == sum(parts)
    runs = (RESULTS / "pairs.txt").read_text().split("$ cgatjax pairs ")[1:]
    _, *lines = table_under("docs/data.md", "Pairs", "pair")
    assert len(runs) == 2 * len(lines)
    for (_, _, *cells), by_id, by_graph in zip(lines, runs[::2], runs[1::2], strict=True):
        counts = {key: text.splitlines()[4].split() for key, text in
                  (("id", by_id), ("graph", by_graph))}  # fmt: skip
        values = by_id.splitlines()[7].split()
        crystals = by_id.splitlines()[2].split()[1]
        shown = [crystals, counts["id"][1], *counts["graph"][1:3], values[3], values[4]]
        check(cells, [float(value) for value in shown])
