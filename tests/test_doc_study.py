"""Numbers of docs/results/study.md: transfer between properties, ablations, and the paper's."""

from statistics import fmean

import pytest
from experiments.active_learning import errors_by_way, errors_table, verdict
from experiments.grid.acquisition import ACQUISITIONS
from experiments.grid.results import NUMBERS
from experiments.grid.section import mean_and_spread
from experiments.interproperty import comparisons
from experiments.scales import SCALES
from experiments.table1 import PAPER
from tests.doc_tables import (
    Row,
    check_text,
    picked,
    rows_of,
    stored,
    table_under,
    tables_under,
)
from tests.test_doc_numbers import MEV, SHARED, TARGETS, errors, percent, short, table1_row

from cgatjax.analysis.seeds import Comparison, SeedSpread

STUDY = "docs/results/study.md"


def interval(change: Comparison) -> str:
    """Format the ends of an interval in percent."""
    return f"{100 * change.low:+.0f} to {100 * change.high:+.0f}"


def test_the_table_of_the_paper() -> None:
    _, *lines = tables_under(STUDY, "Table 1", "property")[1]
    assert len(lines) == 4
    for name, functional, *cells in lines:
        [numbers] = [
            v for k, v in PAPER.items() if k == (name.replace(", ", " (") + ")", functional)
        ]
        shown = [cell.split(" (") for cell in cells]
        assert [float(cell[0]) for cell in shown] == list(numbers)
        for cell, number in zip(shown[2:], numbers[2:], strict=True):
            assert cell[1] == percent([number], [numbers[1]]) + ")"


PAIRS = {
    "formation energy -> volume": 1.0,
    "volume -> formation energy": MEV,
    "distance to the hull -> formation energy": MEV,
}


def rows_between_properties() -> list[Row]:
    """Read the rows; energies from scratch, stored once, are those of two pairs."""
    rows = rows_of("interproperty")
    volume, hull = list(PAIRS)[1:]
    shared = [r for r in rows if r["targets"] == volume and r["way"] == "none"]
    return rows + [row | {"targets": hull} for row in shared]


def test_the_recipes_of_transfer_between_properties() -> None:
    header, *lines = table_under(STUDY, "Transfer between properties", "")
    names = [cell.split(" (")[0] for cell in header[1:]]
    assert names == list(PAIRS)
    rows = rows_between_properties()
    ways = {cells[0]: cells[1:] for cells in lines}
    assert len(ways) == 11
    for way, shown in ways.items():
        own = way.replace("decay 10^", "decay 1e").replace("from scratch, best recipe", "none")
        found = [
            mean_and_spread(errors(rows, factor, targets=pair, way=own))
            for pair, factor in PAIRS.items()
        ]
        assert shown == found, way


def test_the_gains_of_transfer_between_properties() -> None:
    rows = [r | {k: float(r[k]) for k in NUMBERS} for r in rows_between_properties()]
    spread, transfers = comparisons(SCALES["local"]().property_pairs, rows)
    _, *lines = table_under(STUDY, "Transfer between properties", "from -> to")
    within = {"volume": "volume, A^3/atom", "formation energy": SHARED[0]}
    assert [cells[0] for cells in lines] == list(PAIRS)
    for name, scratch, *shown, same in lines:
        mine = [t for t in transfers if t.targets.name == name]
        assert scratch == short(mine[0].base)
        assert shown == [
            f"{short(t.ours)}: {percent(t.ours, t.base)} ({interval(t.change)})" for t in mine
        ]
        of = within[name.split(" -> ")[1]]
        key = next(k for k in TARGETS if k[0] == of)
        assert same == table1_row(list(key), ["full"], short)[0].replace(" (", ": ").rstrip(")")
    heading, values = "Transfer between properties", [100 * spread.std, spread.freedom]
    check_text(STUDY, heading, "change an error by ", " degrees", values)


LABELS = {
    "shell tolerance 10^-8": "shell tolerance 1e-8",
    "shell tolerance 10^-5": "shell tolerance 1e-5",
    "shell tolerance 10^-3": "shell tolerance 1e-3",
    "delta learning, after pre-training": "delta learning",
}
"""Label in the docs -> label of the stored rows."""


def test_the_ablations() -> None:
    header, *lines = table_under(STUDY, "Ablations", "changed option")
    ways = {"pre-training": header.index("pre-training"), "full": header.index("full transfer")}
    rows, spreads = rows_of("ablations"), []
    for way, column in ways.items():
        names = [LABELS.get(cells[0], cells[0]) for cells in lines]
        found = {name: errors(rows, MEV, variant=name, way=way) for name in names}
        spread, base = SeedSpread.of(found.values()), found["standard"]
        for name, cells in zip(names, lines, strict=True):
            values, shown = found[name], cells[column]
            if name != "standard" and values:
                changed = f"{percent(values, base)}, {interval(spread.compare(values, base))}"
                assert shown == f"{mean_and_spread(values)} ({changed})", (name, way)
            else:
                assert shown == (mean_and_spread(values) if values else "-"), (name, way)
        spreads.append(100 * spread.std)
    check_text(STUDY, "Ablations", "pooled over all options (", " after", spreads)


@pytest.mark.parametrize(
    ("learner", "heading"), [("process", ""), ("network", "A network from scratch")]
)
def test_active_learning(learner: str, heading: str) -> None:
    page = "docs/results/active_learning.md"
    rows = picked(rows_of("active_learning"), learner=learner)
    against: dict[str, list[str]] = {by: [] for by in ACQUISITIONS[1:]}
    for measure in ("MAE", "RMSE"):
        errors = errors_by_way(rows, measure.lower(), MEV)
        table = errors_table("", errors)
        header, *lines = table_under(page, heading, f"{measure}, meV/atom")
        assert header[1:] == list(table.header[1:])
        assert lines == [list(row) for row in table.rows]
        for by, cells in against.items():
            _, words = verdict(by, errors, "meV/atom").removesuffix(".").split(": ", 1)
            cells.append(words.replace(", mean of 5 rounds, 3 seeds", ""))
    _, *lines = table_under(page, heading, "against random choice")
    assert {by: cells for by, *cells in lines} == against
    if learner == "process":
        changes = [float(mae.split(" %")[0]) for mae, _ in against.values()]
        check_text(page, heading, "random choice, by ", " %", [min(changes), max(changes)])
        known = errors_by_way(rows, "mae", MEV)["random"].values()
        first, *_, last = (fmean(errors.values()) for errors in known)
        gain = [500, 100 * (1 - last / first)]
        check_text(page, "Reasons", "already accurate. ", " in total", gain)


def test_crystals_chosen_by_active_learning() -> None:
    heading, rows = "Reasons", stored("local/active_learning/chosen.csv")
    shares, medians = ([float(row[k]) for row in rows] for k in list(rows[0])[2:])
    page = "docs/results/active_learning.md"
    values = [0.3, shares[0], min(shares[1:]), max(shares[1:])]
    check_text(page, heading, "energies are more than ", " of those chosen", values)
    values = [medians[0], min(medians[1:]), max(medians[1:])]
    check_text(page, heading, "median of that difference is ", " meV", values)
    rounds = picked(rows_of("active_learning"), learner="process")
    rank = fmean(float(row["rank"]) for row in rounds)
    check_text(page, heading, "and error is ", ", mean", [rank])


def test_the_study_quoted_elsewhere() -> None:
    means = {
        way: [fmean(errors(rows_of("table1"), f, targets=name, way=way)) for name, f in targets]
        for way, targets in ((way, TARGETS.values()) for way in ("full", "none"))
    }
    energies, gaps = ([means[way][k] for way in ("none", "full")] for k in (0, 3))
    values = [*energies, 1000, *gaps]
    check_text("docs/guides/fine_tuning.md", "From your own data", "energies from ", " eV", values)
    page, values = "docs/results/simple_answers.md", [*means["full"], *means["none"]]
    check_text(page, "Test errors", "means of two or three seeds: ", ". ", values)
    page, values = "docs/results/pretrained.md", means["full"][:4]
    check_text(page, "Repeat", "to 1,000 crystals had ", " eV", values)
    few = fmean(errors(rows_of("pretraining_size"), MEV, pretrain_size="1000", way="full"))
    full, none = means["full"][0], means["none"][0]
    values = [100 * (1 - few / none), 1000, few, none, 15_152, 100 * (1 - full / none)]
    heading = "Error against pre-training crystals"
    check_text(STUDY, heading, "1,000 PBE crystals lower the error by ", " Made", values)
    answers = rows_of("simple_answers")
    [known] = set(errors(answers, MEV, targets=TARGETS[SHARED][0], answer="low-fidelity value"))
    check_text(STUDY, "Ablations", "directly gives an MAE of ", " meV", [known])
    gains = [
        full
        / min(
            fmean(errors(answers, factor, targets=name, answer=answer))
            for answer in {r["answer"] for r in answers if "on the difference" in r["answer"]}
        )
        for full, (name, factor) in zip(means["full"], TARGETS.values(), strict=True)
    ]
    values = [min(gains), max(gains)]
    check_text(
        "docs/concepts/transfer.md", "", "learning the difference to it is ", " times", values
    )
    page = "docs/results/simple_answers.md"
    check_text(page, "Test errors", "the difference by trees is ", " times", values)
    rows = [r | {k: float(r[k]) for k in NUMBERS} for r in rows_between_properties()]
    _, transfers = comparisons(SCALES["local"]().property_pairs, rows)
    gains = [-100 * t.change.change for t in transfers if t.normalizer == "refit"]
    check_text("README.md", "Results", "also helps (errors ", " %", [min(gains), max(gains)])
