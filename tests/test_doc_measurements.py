"""Speed, scaling laws and data: the numbers in README and docs are those of the stored results.

docs/results holds what the commands named beside the tables have measured.
"""

import json
from collections.abc import Iterator
from functools import cache

import pytest
from benchmarks.projection import RUNS, hours
from experiments.grid.results import NUMBERS
from experiments.pretraining_size import with_pretrain_sizes
from experiments.scales import SCALES
from experiments.training_size import LABELS, fit_laws
from tests.doc_tables import (
    RESULTS,
    Row,
    agrees,
    check,
    check_text,
    rows_of,
    stored,
    table_under,
    tables_under,
)

import cgatjax as cg
from cgatjax.analysis import JointPowerLaw, PowerLaw, equivalent_size, fit_joint_power_law
from cgatjax.model.network import Network
from cgatjax.structures.elements import ElementTable

STUDY, SPEED = "docs/results/study.md", "docs/performance.md"
ACCURACY = 43.0
"""Chemical accuracy in meV/atom, as in the paper."""
DAYS = ("ratio", "ratio on another day")


def comparisons() -> list[Row]:
    """Return the comparison with the released code, with the ratio of both rates."""
    rows = stored("speed/vs_reference.csv")
    return [row | {"ratio": float(row["cgatjax"]) / float(row["reference"])} for row in rows]  # type: ignore[dict-item]


def ratios(size: str, quantity: str) -> list[float]:
    """Return the ratios of one or two days, ascending."""
    [row] = [r for r in comparisons() if (r["size"], r["quantity"]) == (size, quantity)]
    return sorted(float(row[day]) for day in DAYS if row[day])


def test_the_comparison_with_the_released_code() -> None:
    tables = tables_under(SPEED, "Comparison with the released code", "")
    assert len(tables) == 2
    for size, table in zip(("released", "paper"), tables, strict=True):
        rows = [row for row in comparisons() if row["size"] == size]
        assert [line[0] for line in table[1:]] == [row["quantity"] for row in rows]
        for (_, *cells), row in zip(table[1:], rows, strict=True):
            values = [float(row[k]) for k in ("reference", "cgatjax", "ratio")]
            check(cells, values)
    other = [
        float(row["ratio on another day"]) for row in comparisons() if row["size"] == "released"
    ]
    heading = "Comparison with the released code"
    check_text(SPEED, heading, "found ratios of ", " at the", other)


NAMES = {"features": "features/s", "prediction": "forward/s", "training step": "training steps/s"}
"""Row of the README -> measured quantity."""


def test_the_speed_of_the_readme() -> None:
    _, *lines = table_under("README.md", "Speed", "")
    assert [line[0] for line in lines] == list(NAMES)
    for name, *cells in lines:
        for cell, size in zip(cells, ("released", "paper"), strict=True):
            assert agrees(cell, ratios(size, NAMES[name])), name


def older(quantity: str) -> list[tuple[float, float]]:
    """Return how much slower the older reference is (fastest, slowest) at both sizes."""
    ours = {row["quantity"]: row for row in stored("speed/network.csv")}[f"{quantity}, ms"]
    columns = {"released": "released, 32 crystals", "paper": "paper size, 32 crystals"}
    return [
        tuple(1e3 * float(r[f"{end} seconds"]) / float(ours[columns[r["size"]]]) for end in ENDS)
        for r in stored("speed/older_reference.csv")
        if r["quantity"] == quantity
    ]  # type: ignore[misc]


ENDS = ("fastest", "slowest")


def test_the_comparison_with_an_older_torch() -> None:
    (forward, _), (forward_paper, _) = older("forward")
    (step, slow_step), (step_paper, _) = older("step")
    values = [forward, forward_paper, step, step_paper]
    check_text("README.md", "Speed", "on such cores, ", None, values)
    values = [forward, step, slow_step, forward_paper, step_paper]
    check_text(SPEED, "Comparison with the released code", "`cgatjax` is ", " (times", values)


def test_the_start_of_a_training() -> None:
    measured = stored("speed/start_up.csv")
    (_, *columns), *lines, total = table_under(SPEED, "Compilation", "CPU seconds")
    assert [line[0] for line in lines] == [row["phase"] for row in measured]
    for i, column in enumerate(columns, 1):
        seconds = [float(row[column]) for row in measured]
        assert agrees(" ".join(line[i] for line in lines), seconds)
        assert agrees(total[i], [sum(seconds[:-1])])


def test_the_measurements_of_the_network() -> None:
    measured = stored("speed/network.csv")
    header, *lines = table_under(SPEED, "Measurements", "")
    columns = {name: {r["quantity"]: float(r[name]) for r in measured} for name in header[1:]}
    shown = {line[0]: dict(zip(header[1:], line[1:], strict=True)) for line in lines}
    for name, of in columns.items():
        peak = of["large product, Gflop/s"]
        derived = {
            "forward, crystals/s": of["crystals"] / of["forward, ms"] * 1e3,
            "step, crystals/s": of["crystals"] / of["step, ms"] * 1e3,
            "forward, over the floor": of["forward, ms"]
            * peak
            / of["forward, products, Gflop"]
            / 1e3,
            "step, over the floor": of["step, ms"] * peak / of["step, products, Gflop"] / 1e3,
            "a full step over a head step on cached embeddings": of["step, ms"]
            / of["head step on cached embeddings, ms"],
        }
        for quantity, value in derived.items():
            assert float(shown[quantity][name]) == pytest.approx(value, rel=0.02), quantity
        assert set(shown) <= {*of, *derived}
        for quantity in set(of) & set(shown):
            assert float(shown[quantity][name]) == of[quantity], quantity


def test_the_measurements_on_a_gpu() -> None:
    measured = json.loads((RESULTS / "accelerator_h200.json").read_text())
    names = {"float32": "float32", "TF32": "tf32", "bfloat16": "bfloat16"}
    columns = ("ms", "crystals_per_second", "over_products", "over_traffic", "first_call")
    _, *lines = table_under(SPEED, "On a GPU", "precision")
    assert len(lines) == len(measured["results"]) == 6
    for precision, kind, *cells in lines:
        [found] = [
            r
            for r in measured["results"]
            if (r["precision"], r["kind"]) == (names[precision], kind)
        ]
        assert agrees(", ".join(c.replace(",", "") for c in cells), [found[c] for c in columns])
    rates = measured["rates"]
    products = [rates[name] / 1e12 for name in names.values()]
    check_text(SPEED, "On a GPU", "Products at ", " TB/s", [*products, rates["bytes"] / 1e12])


def test_the_projected_hours() -> None:
    """Those of benchmarks/projection.py at the rates above, on two cores and on the GPU."""
    of = {r["quantity"]: float(r["paper size, 32 crystals"]) for r in stored("speed/network.csv")}
    forward = 1e3 * of["crystals"] / of["forward, ms"]
    times = {
        "step": of["step, ms"],
        "head step, cached embeddings": of["head step on cached embeddings, ms"],
    }
    _, *lines = table_under(SPEED, "Projected time of the paper's trainings", "run")
    assert [line[0] for line in lines] == list(RUNS)
    for name, *cells in lines:
        crystals, kind = RUNS[name]
        rate = 1e3 * of["crystals"] / times[kind]
        values = [crystals, rate, hours(crystals, rate, forward, cached="cached" in kind)]
        shown = [float(cell.replace(",", "")) for cell in cells]
        assert shown == pytest.approx(values, rel=0.01), name
    gpu = {
        r["kind"]: r["crystals_per_second"]
        for r in json.loads((RESULTS / "accelerator_h200.json").read_text())["results"]
        if r["precision"] == "bfloat16"
    }
    expected = [
        hours(RUNS[name][0], gpu["step"], gpu["forward"], cached=False)
        for name in ("pre-training, PBE", "full transfer, SCAN")
    ]
    check_text(SPEED, "Projected time of the paper's trainings", "above: ", None, expected)


LINKS = {"NVLink, 450 GB/s": 450e9, "InfiniBand, 50 GB/s": 50e9, "Ethernet, 1.25 GB/s": 1.25e9}
PRESETS = {
    "small": cg.ModelConfig.small,
    "released": cg.ModelConfig.released,
    "paper": cg.ModelConfig.paper,
}


@cache
def trained_parameters(preset: str) -> dict[str, int]:
    """Count the parameters that a training of one target changes."""
    config = PRESETS[preset](targets=("y",))
    shapes = Network(config, ElementTable.named(config.elements)).param_shapes()
    head = sum(leaf.size for leaf in leaves(shapes["heads"]))
    return {"head": head, "full": head + sum(p.size for p in leaves(shapes["encoder"]))}


def test_the_communication_of_each_preset() -> None:
    """Four bytes for each trained parameter and the five sums; a ring of 8 sends 1.75 of them."""
    header, *lines = table_under("docs/scaling.md", "Communication", "preset")
    assert header[4:] == list(LINKS)
    assert len(lines) == 6
    for preset, trained, parameters, size, *times in lines:
        count = trained_parameters(preset)[trained]
        assert parameters == f"{count:,}"
        n_bytes = 4 * count + 20
        assert agrees(size, [n_bytes / 1e6])
        expected = [1.75e3 * n_bytes / speed for speed in LINKS.values()]
        assert agrees(" ".join(times), expected), (preset, trained)


def leaves(tree) -> Iterator:
    """Yield the arrays of nested dictionaries."""
    for value in tree.values():
        yield from leaves(value) if hasattr(value, "values") else [value]


def finished(experiment: str) -> list[Row]:
    """Return the rows of an experiment with numbers as numbers."""
    return [row | {name: float(row[name]) for name in NUMBERS} for row in rows_of(experiment)]  # type: ignore[misc]


def laws(experiment: str, column: str) -> dict[str, PowerLaw]:
    """Fit the power laws of an experiment: label in the docs -> law."""
    rows = (
        with_pretrain_sizes(finished(experiment))
        if column == "n_pretrain"
        else finished(experiment)
    )
    found = fit_laws(SCALES["local"]().target_sets[0], rows, column)
    return {LABELS[way]: law for way, law in found.items()}


@pytest.mark.parametrize(
    ("experiment", "column", "heading"),
    [
        ("training_size", "n_train", "Error against training crystals"),
        ("pretraining_size", "n_pretrain", "Error against pre-training crystals"),
    ],
)
def test_the_power_laws(experiment: str, column: str, heading: str) -> None:
    _, *lines = table_under(STUDY, heading, "mode")
    found = laws(experiment, column)
    assert {line[0].split(",")[0] for line in lines} == set(found)
    for name, slope, prefactor, bend, crossing in lines:
        law = found[name.split(",")[0]]
        estimates = (law.slope_estimate, law.prefactor_estimate, law.crossing(ACCURACY))
        for cell, e in zip((slope, prefactor, crossing), estimates, strict=True):
            assert agrees(cell, [e.value, e.low, e.high]), (name, cell, e)
        assert law.bend is not None
        assert bend.startswith("yes" if law.bend.is_significant() else "no")
        assert agrees(bend, [law.bend.p_value])


def test_what_transfer_saves() -> None:
    found = laws("training_size", "n_train")
    same = equivalent_size(found["from scratch"], found["full transfer"], 4000.0)
    heading = "Error against training crystals"
    values = [same.value, same.low, same.high]
    check_text(STUDY, heading, "from scratch with ", ": it", values)
    check_text(STUDY, heading, ": it replaces ", " calculations", [same.value - 4000])


def law_of_both_sizes() -> JointPowerLaw:
    """Fit the joint power law of full transfer, in meV/atom."""
    rows = [r for r in with_pretrain_sizes(finished("budget")) if r["way"] == "full"]
    errors = [1000 * r["test_mae"] for r in rows]  # type: ignore[operator]
    return fit_joint_power_law(
        [r["n_pretrain"] for r in rows], [r["n_train"] for r in rows], errors
    )  # type: ignore[misc]


def test_the_law_of_both_sizes() -> None:
    law = law_of_both_sizes()
    heading = "Allocation of computing time"
    for begin, slope in (
        (" PBE crystals^", law.pretrain_slope),
        (" x high-fidelity crystals^", law.train_slope),
    ):
        check_text(STUDY, heading, begin, ")", [slope.value, slope.low, slope.high])
    now = [law.points[:, k].max() for k in (0, 1)]
    expected = [float(law.error_at(*now)), float(law.error_at(now[0] + 50_000, now[1]))]
    check_text(STUDY, heading, "should be PBE (", " meV", expected)
    other = float(law.error_at(now[0], now[1] + 10_000))
    check_text(STUDY, heading, "OptB88vdW calculations gives ", ";", [other])


def test_the_data_of_the_study() -> None:
    """Counts, values and shared formulas, as `experiments run data_report` wrote them."""
    for number, first in enumerate(("data set", "property", "data sets")):
        _, *lines = table_under(STUDY, "The data", first)
        rows = stored(f"local/data_report/table_{number}.csv")
        assert len(lines) == len(rows)
        for cells, row in zip(lines, rows, strict=True):
            texts = [v for name, v in row.items() if name not in ("property", "unknown")]
            shown = cells if number != 1 else cells[1:]
            for cell, text in zip(shown, texts, strict=True):
                exact = text.replace(",", "")
                try:
                    assert float(cell.replace(",", "")) == float(exact), (cell, text)
                except ValueError:
                    assert cell == text


ENDINGS = {
    "completed": "completed",
    "documented error": "error, continued",
    "killed": "killed, continued",
    "WRONG": "wrong",
}
"""Beginning of an outcome -> column of the docs."""


def test_the_crash_points() -> None:
    header, *lines = table_under("docs/reliability.md", "Every file operation", "command")
    points = [(r, int(r["points"])) for r in stored("crash_points.csv")]
    assert [line[0] for line in lines[:-1]] == sorted({r["command"] for r, _ in points})
    assert lines[-1][0] == "all"
    for command, *cells in lines:
        mine = [(r, n) for r, n in points if command in (r["command"], "all")]
        for column, cell in zip(header[1:], cells, strict=True):
            chosen = [
                n
                for r, n in mine
                if column
                in ("points", r["fault"], ENDINGS[r["outcome"].split(",")[0].split(" before")[0]])
            ]
            assert int(cell.replace(",", "")) == sum(chosen), (command, column)
