"""Numbers in the tables of README and docs are those of the stored results in docs/results/local.

Each table names its results file; each of its cells is computed from the rows of that file.
"""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
import pytest
from experiments.adapt_study import AVERAGED, averaged, verdict
from experiments.grid.section import mean_and_spread
from tests.doc_tables import (
    Row,
    agrees,
    check,
    check_text,
    picked,
    rows_of,
    stored,
    table_under,
    tables_under,
    unwrapped,
)

import cgatjax as cg
from cgatjax.adaptation.contenders import CORRELATION

MEV = 1000.0
SHIPPED = Path(cg.__file__).parent / "pretrained"
SHARED = ("formation energy, meV/atom", "OptB88vdW")


def errors(rows: Iterable[Row], factor: float, **labels: str) -> list[float]:
    """Return the test errors of the rows with these labels, in the unit of the docs."""
    chosen = picked(rows, **labels)
    seeds = [row["seed"] for row in chosen]
    assert len(set(seeds)) == len(seeds), f"a seed twice: {labels}"
    return [factor * float(row["test_mae"]) for row in chosen]


def percent(values: list[float], base: list[float]) -> str:
    return f"{fmean(values) / fmean(base) - 1:+.0%}".replace("%", " %")


def short(values: list[float], digits: int = 3) -> str:
    """Format a mean as README does, with trailing zeros kept."""
    mean = fmean(values)
    return f"{mean:.0f}" if mean >= 10 else f"{mean:#.{digits}g}"


TARGETS = {
    ("formation energy, meV/atom", "OptB88vdW"): ("formation energy, OptB88vdW", MEV),
    ("formation energy, meV/atom", "r2SCAN"): ("formation energy, r2SCAN", MEV),
    ("volume, A^3/atom", "r2SCAN"): ("volume, r2SCAN", 1.0),
    ("band gap, eV", "HSE06"): ("band gap, HSE06", 1.0),
    ("band gap > 0.1 eV, eV", "HSE06"): ("band gap > 0.1 eV, HSE06", 1.0),
}
"""(property, data) of the docs -> (name in the results, factor)."""


def table1_row(cells: list[str], ways: list[str], text: Callable[[list[float]], str]) -> list[str]:
    """Compute the cells of a row of errors: a mean, and the change from no transfer."""
    name, factor = TARGETS[cells[0], cells[1]]
    rows = rows_of("table1")
    of = {way: errors(rows, factor, targets=name, way=way) for way in {*ways, "none"}}
    if "pre-training" in of and not of["pre-training"]:
        # Both sets of energies have one pre-training, which is stored once.
        of["pre-training"] = errors(rows, factor, targets=TARGETS[SHARED][0], way="pre-training")
    changed = ("head", "full", "joint")
    return [
        text(of[way]) + (f" ({percent(of[way], of['none'])})" if way in changed else "")
        for way in ways
    ]


@pytest.mark.parametrize(("page", "heading"), [("README.md", "Results"), ("docs/index.md", "")])
def test_the_results_of_the_readme_and_the_home_page(page: str, heading: str) -> None:
    header, *lines = table_under(page, heading, "target")
    assert header[2:] == ["from scratch", "head only", "full transfer"]
    assert len(lines) == 4
    for cells in lines:
        assert cells[2:] == table1_row(cells, ["none", "head", "full"], short)
    text = unwrapped(page, heading)
    sizes = {
        (row["targets"], row["way"]): float(row["n_train"])
        for row in rows_of("table1")
        if row["way"] in ("full", "pre-training")
    }
    names = [TARGETS[SHARED][0], TARGETS[SHARED[0], "r2SCAN"][0]]
    used = [sizes[name, "full"] for name in names]
    check_text(page, heading, "Test errors with ", " for r2SCAN", used)
    pretraining = re.search(r"on (\d+ thousand) PBE crystals", text)
    assert pretraining
    assert agrees(pretraining[1], [sizes[names[0], "pre-training"]])
    if weights := re.search(r"of ([\d.]+ million) weights", text):
        assert agrees(weights[1], [float(stored("recipe.csv")[0]["weights"])])


def test_table_1_of_the_study() -> None:
    header, *lines = table_under("docs/results/study.md", "Table 1", "property")
    ways = header[3:]
    assert ways == ["pre-training", "none", "head", "full", "joint"]
    assert len(lines) == len(TARGETS)
    for cells in lines:
        assert cells[3:] == table1_row(cells, ways, mean_and_spread)
        name, _ = TARGETS[cells[0], cells[1]]
        row = next(r for r in rows_of("table1") if r["targets"] == name and r["way"] == "none")
        assert cells[2] == f"{int(row['n_train']):,}, {int(row['n_test']):,}"


def test_the_simple_answers() -> None:
    header, *lines = table_under("docs/results/simple_answers.md", "Test errors", "knows")
    rows, checked = rows_of("simple_answers"), 0
    for cells in lines:
        for column, (name, factor) in enumerate(TARGETS.values(), 2):
            values = errors(rows, factor, targets=name, answer=cells[1])
            assert cells[column] == mean_and_spread(values), (cells[1], header[column])
            checked += 1
    assert checked == 45


def number_of(row: Row) -> str:
    """Format mean and spread of a row of transfers from the shipped models."""
    digits = 1 if row["unit"] == "meV/atom" else 3
    names = [name for name in ("test MAE", "std over seeds") if row[name]]
    return " ± ".join(f"{float(row[name]):.{digits}f}" for name in names)


@pytest.mark.parametrize(
    ("experiment", "section"),
    [
        ("adapt", "Choices"),
        ("adapt_both", "From both models"),
        ("adapt_other_crystals", "A source that knows none of the crystals"),
    ],
)
def test_the_choices_of_adapt(experiment: str, section: str) -> None:
    page, rows = "docs/results/adapt.md", rows_of(experiment)
    candidates = stored(f"local/{experiment}/candidates.csv")
    header, *lines = table_under(page, section, "target")
    assert tuple(header) == AVERAGED
    assert lines == averaged(rows, candidates)
    assert verdict(rows, candidates) in unwrapped(page, section)


def test_the_sources_of_adapt() -> None:
    page, heading = "docs/results/adapt.md", "From both models"
    now = {row["task"]: row for row in rows_of("adapt_both")}
    rows, columns = stored("adapt_sources.csv"), ("mp-small, all at once", "both, all at once")
    one, both, shipped = (f"from {name}" for name in (*columns, "both, with decorated"))
    found = dict[tuple[str, str], list[Row]]()
    for row in rows:
        same = now[f"{row['task']}-mp-small-mp-medium"]
        assert float(row[shipped]) == pytest.approx(float(same["test MAE"]), abs=1e-5)
        name, size = re.fullmatch(r"(.*)-(\d+)-seed\d", row["task"]).groups()
        found.setdefault((name.replace("-", " "), f"{int(size):,}"), []).append(row)
    lines = tables_under(page, heading, "target")[1][1:]
    assert sorted(found) == sorted((cells[0], cells[1]) for cells in lines)
    for name, size, *cells in lines:
        scale = MEV if "meV" in cells[-1] else 1.0
        for cell, column in zip(cells, (one, both, shipped), strict=True):
            values = [scale * float(row[column]) for row in found[name, size] if row[column]]
            check([cell.split(" ")[0]], [fmean(values) if values else None])
    for words, old, new in (("all at once, both", one, both), ("better again", both, shipped)):
        pairs = [(float(row[old]), float(row[new])) for row in rows if row[old]]
        changes = [100 * (after / before - 1) for before, after in pairs]
        expected = [sum(change < 0 for change in changes), len(changes), -fmean(changes)]
        text = unwrapped(page, heading).split(f"{words}")[1].split(" in ", 1)[1]
        assert agrees(text.split(" % on average")[0], expected), (words, expected)


def test_what_the_source_knows_is_counted() -> None:
    candidates = stored("local/adapt/candidates.csv")
    now, before = rows_of("adapt"), stored("adapt_uncounted.csv")
    assert [row["task"] for row in now] == [row["task"] for row in before]
    without = [{**row, "test MAE": old["test MAE"]} for row, old in zip(now, before, strict=True)]
    found = re.match(r"(\d+) of 19 .* at most \+([\d.]+)% over", verdict(without, candidates))
    assert found
    means = [
        fmean(float(row["test MAE"]) for row in rows if re.match(pattern, row["task"]))
        for pattern in ("band-gap-HSE06-1000-.*-cheap", "volume-r2SCAN-50-")
        for rows in (without, now)
    ]
    near, worst = map(float, found.groups())
    expected = [near, 19, 3, worst, 1000, *means[:2], 50, *means[2:]]
    check_text(
        "docs/results/adapt.md", "Choices", "the same adaptations had ", " A^3/atom;", expected
    )


def test_the_networks_of_adapt() -> None:
    tasks = dict[str, dict[str, float]]()
    for row in stored("local/adapt/networks.csv"):
        network = row["candidate"].split(" + ")[-1].removesuffix(" of mp-small")
        tasks.setdefault(row["task"], {})[network] = float(row["test MAE"])
    assert set(tasks) == {row["task"] for row in rows_of("adapt")}
    header, *lines = table_under("docs/results/adapt.md", "Which network", "network")
    for network, *cells in lines:
        for column, cell in zip(header[1:], cells, strict=True):
            kind, size = column.split(", ")
            excess = [
                maes[network] / min(maes.values()) - 1
                for task, maes in tasks.items()
                if f"-{size.replace(',', '')}-seed" in task
                and (kind == "difference") == ("-cheap" in task or task.startswith("volume"))
            ]
            assert cell == f"{fmean(excess):.0%}", (network, column)


def test_a_source_that_does_harm() -> None:
    _, *lines = table_under("docs/results/adapt.md", "A source that does harm", "crystals")
    assert len(lines) == 2
    for cells in lines:
        rows = [r for r in stored("adapt_harm.csv") if r["crystals"] == cells[0]]
        found = {r["candidate"]: float(r["test MAE, meV/atom"]) for r in rows}
        simple = min(found[r["candidate"]] for r in rows if r["simple"] == "yes")
        whole = sorted(error for name, error in found.items() if "all" in name)
        expected = [
            found["weighted mean"],
            simple,
            whole[0],
            whole[-1],
            found["head of shuffled labels"],
        ]
        assert agrees(" ".join(cells[1:]), expected)


def test_transfers_from_the_shipped_models() -> None:
    _, *lines = table_under("docs/results/pretrained.md", "Test errors", "model")
    every = rows_of("pretrained_transfers")
    assert {row["seen by graph"] + row["seen by formula"] for row in every} == {"00"}
    rows = [row for row in every if row["learns"] == "value"]
    names = ("model", "property", "unit", "mode", "training crystals")
    assert [cells[:5] for cells in lines] == [[row[name] for name in names] for row in rows]
    for cells, row in zip(lines, rows, strict=True):
        assert cells[5:] == [number_of(row), row["test crystals"]]


VERSIONS = ("two stages", "all at once", "with decorated")
"""Trainings of the models, the oldest first; the last one is that of the shipped weights."""


@pytest.mark.parametrize(("model", "number"), [("mp-small", 0), ("mp-medium", 1)])
def test_what_each_training_brought(model: str, number: int) -> None:
    names = ("property", "unit", "mode", "training crystals")
    rows = picked(stored("model_versions.csv"), model=model)
    versions = [picked(rows, training=training) for training in VERSIONS]
    page = "docs/results/pretrained.md"
    header, *lines = tables_under(page, "What each training brought", "property")[number]
    assert header[4:] == list(VERSIONS)
    for cells, *row in zip(lines, *versions, strict=True):
        named = [*cells[:3], cells[3].replace(",", "")]
        assert all(named == [r[name] or "-" for name in names] for r in row)
        assert cells[4:] == [number_of(r) or "-" for r in row]


@pytest.mark.parametrize("model", ["mp-small", "mp-medium"])
def test_the_last_training_is_that_of_the_shipped_weights(model: str) -> None:
    rows = picked(stored("model_versions.csv"), model=model, training=VERSIONS[-1])
    card = cg.ModelCard.read(SHIPPED / model)
    for error, row in zip(card.errors["held-out formulas"].values(), rows, strict=False):
        scale = MEV if row["unit"] == "meV/atom" else 1.0
        assert float(row["test MAE"]) == pytest.approx(scale * error["mae"], rel=1e-3)
    transfers = picked(rows_of("pretrained_transfers"), model=model, learns="value")
    names = ("property", "mode", "training crystals", "test MAE")
    compared = [row for row in rows if row["mode"] in ("head", "full")]
    known = [[row[name] for name in names] for row in transfers]
    assert all([row[name] for name in names] in known for row in compared)
    decorated = next(d.crystals for d in card.data if d.name.startswith("decorated"))
    text = unwrapped("docs/results/pretrained.md", "What each training brought")
    assert f"volumes of {decorated:,} [decorated crystals]" in text
    other = next(d.crystals for d in card.data if d.name.endswith("another version"))
    assert f"among them {other:,} of another version" in text


def test_what_decorated_crystals_and_more_steps_brought() -> None:
    rows = stored("model_versions.csv")

    def before_and_now(model: str, name: str, mode: str, column: str = "test MAE") -> list[float]:
        """Return errors of the last two trainings, of the largest training set."""
        chosen = [picked(rows, model=model, property=name, mode=mode, training=t) for t in VERSIONS]
        return [float(row[-1][column]) for row in chosen[1:]]

    energies, r2scan, volumes, gaps = (
        "formation energy, OptB88vdW",
        "formation energy, r2SCAN",
        "volume, r2SCAN",
        "band gap, HSE06",
    )
    compared = [
        *((model, "formation energy, PBE", "-") for model in ("mp-small", "mp-medium")),
        *(("mp-small", name, "full") for name in (energies, volumes, gaps)),
        *(("mp-medium", name, "full") for name in (energies, gaps)),
        *(("mp-small", name, "head") for name in (energies, r2scan)),
    ]
    gains = [100 * (1 - now / before) for before, now in (before_and_now(*c) for c in compared)]
    page, heading = "docs/results/pretrained.md", "What each training brought"
    check_text(page, heading, "held-out formulas err by ", " in energies (", gains)
    both_ways = [
        ("mp-small", "validation crystals (", "): there"),
        ("mp-medium", "So does", "), for"),
    ]
    for model, begin, end in both_ways:
        valid, test = (
            before_and_now(model, r2scan, "full", f"{part} MAE") for part in ("valid", "test")
        )
        check_text(page, heading, begin, end, [valid[1], valid[0], test[1], test[0]])


def test_the_errors_of_the_models_in_the_guide() -> None:
    energies, gaps = (
        [
            cg.ModelCard.read(SHIPPED / name).errors["held-out formulas"][target]["mae"]
            for name in ("mp-medium", "mp-small")
        ]
        for target in ("e-form@PBE", "band_gap_ind@PBE")
    )
    expected = [*(MEV * error for error in energies), *gaps]
    page = "docs/guides/pretrained.md"
    check_text(page, "", "PBE formation energies, by ", " eV ([cards", expected)


def test_both_models_together() -> None:
    page, heading = "docs/results/pretrained.md", "Both models together"
    every = stored("pretrained_pairs.csv")
    pairs, plain = (picked(every, learns=learns) for learns in ("value", "value, loss l1"))
    _, *lines = table_under(page, heading, "property")
    gains = list[float]()
    for k, cells in enumerate(lines):
        small, medium, mean = pairs[3 * k : 3 * k + 3]
        named = [small["property"], small["unit"], f"{int(small['training crystals']):,}"]
        weights = " and ".join(part.split(" ")[0] for part in mean["mode"].split(" + "))
        assert cells == [*named, *map(number_of, (small, medium, mean)), weights]
        assert (small["mode"], medium["mode"]) == ("full of mp-small", "full of mp-medium")
        better = min(float(row["test MAE"]) for row in (small, medium))
        gains.append(100 * (1 - float(mean["test MAE"]) / better))
    assert 3 * len(lines) == len(pairs)
    check_text(page, heading, "better than either, by ", " % than", [min(gains), max(gains)])
    robust = picked(pairs, property=plain[0]["property"])
    robust = picked(robust, **{"training crystals": plain[0]["training crystals"]})
    expected = [float(row["test MAE"]) for rows in (plain, robust) for row in rows]
    check_text(page, heading, "1,000 OptB88vdW energies by ", " meV/atom", expected)
    # The weighted means whose errors are divided in the second table are those of the first.
    header, *parts = table_under(page, heading, "crystals, by their value in eV/atom")
    assert [dict(zip(header, cells, strict=True)) for cells in parts] == stored(
        "optb88vdw_errors.csv"
    )
    [same] = [
        cells
        for cells in lines
        if cells[:3] == ["formation energy, OptB88vdW", "meV/atom", "1,000"]
    ]
    assert float(parts[0][2]) == float(same[5].split(" ± ")[0])
    too_low = {cells[0]: -float(cells[3]) for cells in parts}
    expected = [0, 0.2, too_low["0 to 0.2"], 0.2, too_low["above 0.2"]]
    check_text("docs/limits.md", "Predictions", "formation energies between ", ", all", expected)


WAYS = {
    "the mean": "mean",
    "mp-small as it is": "mean",
    "trees on the composition": "trees",
    "trees on composition and embedding": "trees-embedding",
    "Gaussian process on the embedding": "gp",
    "head of mp-small": "head",
    "all of mp-small": "full",
    "network from scratch": "none",
    "the value itself, by all of the model": "value",
    "all of the model": "full",
}
"""Way in the docs -> mode of the stored rows."""
MEAN, ITS_WEIGHTS = "weighted mean", "its weights"


def check_differences(page: str, heading: str, columns: dict[str, dict[str, str]]) -> int:
    """Compare a table of ways x columns with the stored rows, and count the cells.

    Args:
      columns: header of a column -> labels of its rows.
    """
    header, *lines = table_under(page, heading, "way")
    every = rows_of("pretrained_transfers")
    for cells in lines:
        for name, text in zip(header[1:], cells[1:], strict=True):
            rows = picked(every, **columns[name])
            # Ways that start from nothing are in the column of the first model alone.
            modes = [f"{WAYS.get(cells[0])} of {name}"]
            modes += [WAYS.get(cells[0])] if name != "mp-medium" else []
            is_mean = cells[0] in (MEAN, ITS_WEIGHTS) and name != "mp-medium"
            found = [r for r in rows if r["mode"] in modes or (is_mean and r["mode"][0].isdigit())]
            [row] = found or [None]
            shown = row and (row["mode"] if cells[0] == ITS_WEIGHTS else number_of(row))
            assert text == (shown or "-"), cells
    return len(lines) * (len(header) - 1)


LOW_VALUES = {
    "e-form OptB88vdW, meV/atom": ("formation energy, OptB88vdW", "e-form_pbe"),
    "e-form r2SCAN, meV/atom": ("formation energy, r2SCAN", "e-form_pbe"),
    "volume r2SCAN, A^3/atom": ("volume, r2SCAN", "volume_pbe"),
    "gap HSE06, eV": ("band gap, HSE06", "band_gap_ind_pbe"),
}
"""Column of the docs -> property, low-fidelity value."""


def test_the_differences() -> None:
    columns = {
        column: {"property": name, "learns": f"difference to {low}"}
        for column, (name, low) in LOW_VALUES.items()
    }
    page = "docs/results/simple_answers.md"
    assert check_differences(page, "Differences by networks", columns) == 32
    potential = {"property": "formation energy, OptB88vdW"}
    potential["learns"] = "difference to e-form_chgnet"
    columns = {
        column: {"property": name, "learns": "difference to the source"}
        for column, (name, _) in LOW_VALUES.items()
    }
    assert check_differences(page, "The source model as the low-fidelity value", columns) == 16
    columns = dict.fromkeys(("mp-small", "mp-medium"), potential)
    assert check_differences(page, "A potential as the low-fidelity value", columns) == 14


def test_the_differences_beside_the_values() -> None:
    _, *lines = table_under("docs/concepts/difference.md", "How much it brings", "")
    rows, best = rows_of("pretrained_transfers"), []
    assert len(lines) == len(LOW_VALUES)
    for (_, *cells), (name, low) in zip(lines, LOW_VALUES.values(), strict=True):
        wanted = [("value", "full"), *((f"difference to {low}", m) for m in ("trees", "full", ""))]
        for cell, (learns, way) in zip(cells, wanted, strict=True):
            found = picked(rows, model="mp-small", property=name, learns=learns)
            found = [r for r in found if r["mode"] == way or (not way and r["mode"][0].isdigit())]
            largest = max(found, key=lambda r: int(r["training crystals"]))
            assert agrees(cell, [float(largest["test MAE"])]), (name, learns, way)
            best.append(float(largest["test MAE"]))
    values, means = best[::4], best[3::4]
    gains = [value / mean for value, mean in zip(values, means, strict=True)]
    page, of = "docs/results/simple_answers.md", "Differences by networks"
    check_text(page, of, "of the value itself from `mp-small` has ", " eV (", values)
    check_text(page, of, "the difference is ", " times", [min(gains), max(gains)])
    check_text(
        "docs/concepts/difference.md", "", "the error is then ", " times", [min(gains), max(gains)]
    )


def test_a_potential_alone_as_the_start() -> None:
    page, heading = "docs/results/pretrained.md", "A potential alone as the start"
    _, *lines = table_under(page, heading, "crystals with energies of CHGNet")
    rows = stored("potential_size.csv")
    expected = [
        [f"{int(r['crystals']):,}", r["source"], r["MAE on the potential"] or "-", r["test MAE"]]
        for r in rows
    ]
    assert [[*cells[:3], cells[3].split(" ± ")[0]] for cells in lines] == expected
    spreads = [cells[3].split(" ± ")[1] for cells in lines if "±" in cells[3]]
    assert spreads == [r["std over seeds"] for r in rows if r["std over seeds"]]
    known = [r for r in rows if r["source"] == "known" and int(r["crystals"]) <= 30_000]
    sizes, errors = ([float(r[c]) for r in known] for c in ("crystals", "test MAE"))
    slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert f"as N^{slope:.2f}, against" in unwrapped(page, heading)


def test_the_best_transfers_of_the_readme() -> None:
    """Full transfer from both shipped models to the largest training sets; differences."""
    rows = rows_of("pretrained_transfers")

    def best(model: str, name: str, learns: str = "value", mode: str = "full") -> float:
        chosen = picked(rows, model=model, property=name, learns=learns, mode=mode)
        return float(max(chosen, key=lambda r: int(r["training crystals"]))["test MAE"])

    energies, r2scan, gaps = (
        f"{name}, {data}"
        for name, data in (
            ("formation energy", "OptB88vdW"),
            ("formation energy", "r2SCAN"),
            ("band gap", "HSE06"),
        )
    )
    expected = [
        *(best(model, energies) for model in ("mp-small", "mp-medium")),
        *(best(model, r2scan) for model in ("mp-small", "mp-medium")),
        *(best(model, gaps) for model in ("mp-small", "mp-medium")),
    ]
    check_text(
        "README.md", "Results", "full transfer to the same crystals has ", " eV for gaps", expected
    )
    known = "difference to e-form_pbe"
    pairs = [[best("mp-small", n), best("mp-small", n, known)] for n in (energies, r2scan)]
    trees = [best("mp-small", n, known, "trees") for n in (energies, r2scan)]
    expected = [error for pair in (*pairs, trees) for error in pair]
    check_text("README.md", "Results", "the errors fall from ", " ([transfer or", expected)


BASES = {
    "Element vectors": "matscholar as published",
    "Combinations, with both vectors": "periodic and scaled matscholar: `both`",
}
"""Group of recipes -> row that its changes are relative to; "periodic (one-hot)" for others."""


def test_the_recipes_from_scratch() -> None:
    rows = stored("recipe.csv")
    errors = {row["changed"]: [float(row[f"seed {k}"]) for k in range(3)] for row in rows}
    page, heading, checked = "docs/results/recipe.md", "From scratch on 1,000 crystals", 0
    for group in dict.fromkeys(row["group"] for row in rows):
        lines = table_under(page, heading, group)[1:]
        chosen = [row for row in rows if row["group"] == group]
        base = BASES.get(group, "periodic (one-hot)")
        for cells, row in zip(lines, chosen, strict=True):
            name, weights, error, change = cells
            assert name == row["changed"]
            assert agrees(weights.replace(" M", " million"), [float(row["weights"])]), name
            values = errors[name]
            assert error == f"{fmean(values):.1f} ± {stdev(values):.1f}", name
            gains = [v - b for v, b in zip(values, errors[base], strict=True)]
            shown = f"{fmean(gains):+.1f} ± {stdev(gains) / 3**0.5:.1f}"
            assert change == ("-" if name == base else shown), name
            checked += 1
    assert checked == 50
    best = [min(map(fmean, errors.values()))]
    check_text(page, heading, "was not shown to be reached: ", " in validation", best)
    transfers = [float(r["1,000"]) for r in stored("recipe_transfer.csv") if r["1,000"]]
    check_text(page, heading, "to the same crystals has ", " in validation", [min(transfers)])
    [weights] = [float(r["weights"]) for r in rows if r["changed"] == BASES[rows[-1]["group"]]]
    _, small, *_ = table_under("docs/concepts/network.md", "Presets", "preset")
    assert agrees(small[1].split(", ")[1].removesuffix(" weights"), [weights])


def test_the_ways_of_fine_tuning() -> None:
    page, heading = "docs/results/recipe.md", "Fine-tuning at several sizes"
    seeds = ("seed 0", "seed 1", "seed 2")
    found: dict[tuple[str, ...], list[Row]] = {}
    for row in stored("recipe_fine_tuning.csv"):
        found.setdefault((row["property"], row["unit"], row["crystals"]), []).append(row)

    def label(row: Row) -> str:
        steps = "" if row["steps"] == "500" else f", {row['steps']} steps"
        return f"{row['way']} {row['peak rate']}{steps}"

    def shown(row: Row, count: int) -> str:
        values = [float(row[seed]) for seed in seeds[:count]]
        digits = 1 if row["unit"] == "meV/atom" else 3
        spread = f" ± {stdev(values):.{digits}f}" if count > 1 else ""
        return f"{fmean(values):.{digits}f}{spread}"

    for first, count in (("property", 3), ("one seed", 1)):
        header, *lines = table_under(page, heading, first)
        for cells in lines:
            rows = [r for r in found[tuple(cells[:3])] if all(r[s] for s in seeds[:count])]
            of = {label(row): shown(row, count) for row in rows}
            assert cells[3:] == [of.get(name, "-") for name in header[3:]], cells

    header, *lines = table_under(page, heading, "further ways")
    every = [row for rows in found.values() for row in rows]
    assert {"head", *header[3:]} == {row["way"] for row in every}
    for cells in lines:
        for way, text in zip(header[3:], cells[3:], strict=True):
            rows = [r for r in found[tuple(cells[:3])] if r["way"] == way]
            best = min(rows, key=lambda row: float(row["seed 0"]), default=None)
            expected = f"{shown(best, 1)} ({best['peak rate']})" if best else "-"
            assert text == expected, (cells, way)


def test_a_changed_number_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two parts in a hundred of the stored errors are enough."""
    original = rows_of("table1")
    changed = [
        {**row, "test_mae": str(float(row["test_mae"]) * 1.02)} if row["way"] == "full" else row
        for row in original
    ]
    monkeypatch.setitem(globals(), "rows_of", lambda experiment: changed)
    with pytest.raises(AssertionError):
        test_the_results_of_the_readme_and_the_home_page("README.md", "Results")


def test_decorated_crystals_mend_the_errors_of_unstable_ones() -> None:
    rows, gains = stored("decorated.csv"), {}
    for row in picked(rows, learned="known crystals"):
        key = {k: row[k] for k in ("energies", "crystals, by their value in eV/atom")}
        [new] = picked(rows, learned="known and decorated", **key)
        before, after = (float(r["MAE, meV/atom"].split(" ± ")[0]) for r in (row, new))
        gains.setdefault(key["crystals, by their value in eV/atom"], []).append(
            100 * (1 - after / before)
        )
    page, heading = "docs/results/pretrained.md", "Decorated crystals beside"
    pbe, valid, test = gains["above 0.2"]
    check_text(page, heading, "above 0.2 eV/atom the error falls by ", " (PBE", [pbe])
    check_text(page, heading, "(PBE, few crystals), ", " (OptB88vdW", [valid, test])
    check_text(page, heading, "all together gain ", " Unstable", gains["all"])


def test_the_errors_of_two_sources_are_correlated() -> None:
    rows, correlations = stored("source_errors.csv"), []
    for row in rows:
        small, medium, mean = (
            float(row[f"MAE, {name}"]) for name in ("mp-small", "mp-medium", "mean of both")
        )
        # Normal deviates of the same size: the variance of their mean is (1 + correlation) / 2.
        correlations.append(2 * mean**2 / (small * medium) - 1)
        assert float(row["correlation"]) == pytest.approx(correlations[-1], abs=1e-3)
    expected = [int(rows[0]["crystals"]), min(correlations), max(correlations)]
    words = ("What both hide. On ", ", by property")
    check_text("docs/results/adapt.md", "From both models", *words, expected)
    assert min(correlations) < CORRELATION < max(correlations)
