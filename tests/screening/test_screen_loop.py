"""Complete screenings: results, reports, kills at any moment, and refusals."""

import json
import shutil
from contextlib import nullcontext

import numpy as np
import pytest
from tests.screening.conftest import BATCH, ELEMENTS, PEROVSKITE, ROCK_SALT, files
from tests.snapshots import snapshots

import cgatjax as cg
from cgatjax.errors import (
    ConfigError,
    InputError,
    Interrupted,
    MismatchError,
    RunExistsError,
    StructureError,
    TargetError,
)
from cgatjax.model.training_record import TrainingRecord
from cgatjax.runtime.signals import StopRequest
from cgatjax.screening import decorations, screen_loop
from cgatjax.screening.composition_filter import REASONS, CompositionFilter
from cgatjax.screening.ranked_parquet import read_rows
from cgatjax.screening.templates import Assignments, Template
from cgatjax.structures.elements import atomic_number

SHARE = cg.GraphConfig.recommended()
PROTOTYPES = [PEROVSKITE, ROCK_SALT]
LISTS = {**ELEMENTS, "*": ("Na", "Cl")}
SIZES = {"chunk_rows": 8, "batch_size": BATCH}


@pytest.fixture(scope="module", autouse=True)
def small_blocks():
    """Filter four assignments at a time, so that a chunk has few of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decorations, "BLOCK", 4)
        yield


@pytest.fixture(scope="module")
def everything(model) -> dict[str, float]:
    """id -> mean of every decoration, predicted as a separate structure."""
    crystals = []
    for prototype in PROTOTYPES:
        template = Template.of(prototype, SHARE)
        pools = [LISTS.get(name, LISTS["*"]) for name in template.classes]
        numbers = tuple(tuple(atomic_number(s) for s in pool) for pool in pools)
        assignments = Assignments(numbers)
        crystals += [template.decorated(row) for row in assignments.at(0, assignments.n)]
    found = cg.predict(model, crystals, batch_size=BATCH)
    return dict(zip(found.ids, found.mean.tolist(), strict=True))


@pytest.fixture(scope="module")
def screened(model, tmp_path_factory):
    """Uninterrupted screening that keeps all decorations."""
    out = tmp_path_factory.mktemp("screened") / "out"
    return cg.screen(model, PROTOTYPES, out, elements=LISTS, **SIZES)


def test_results_hold_all_decorations_once_in_order(screened, everything) -> None:
    rows = read_rows(screened.results).to_pylist()
    everything = {k: v for k, v in everything.items() if k != "ax:Cl-Na"}  # is ax:Na-Cl
    assert len(rows) == len({row["id"] for row in rows}) == 4 * 4 * 3 + 3
    assert {row["id"] for row in rows} == set(everything)
    means = [row["mean"] for row in rows]
    assert means == sorted(means)
    expected = [everything[row["id"]] for row in rows]
    np.testing.assert_allclose(means, expected, rtol=1e-5, atol=1e-6)
    assert all(row["std"] > 0 for row in rows)
    row = next(row for row in rows if row["id"] == "abx3:Ba-Ti-O")
    assert row["elements"] == [("Sr", "Ba"), ("Ti", "Ti"), ("O", "O")]
    assert (row["prototype"], row["formula"], row["unit"]) == ("abx3", "BaTiO3", "eV/atom")
    assert row["std_note"] == "aleatoric, learned by a robust loss"


def test_the_report_counts_candidates(screened) -> None:
    report = json.loads((screened.path / "report.json").read_text())
    assert report == screened.report
    assert (report["seen"], report["predicted"], report["rows"]) == (52, 51, 51)
    assert report["left_out"] == {"same crystal as another assignment": 1}
    assert report["prototypes"][0]["classes"] == {"Sr": 1, "Ti": 1, "O": 3}
    assert repr(screened) == f"Screened('{screened.path}': 51 of 52 candidates kept)"
    assert [p["assignments"] for p in report["prototypes"]] == [48, 4]
    assert report["target"] == "e-form@low"
    assert sorted(f.name for f in screened.path.iterdir()) == [
        "best.csv",
        "report.json",
        "results",
        "screening.jsonl",
        "structures",
    ]


@pytest.mark.parametrize("highest", [False, True])
def test_the_best_are_the_first_of_all_rows(model, screened, tmp_path, highest) -> None:
    keep = cg.Keep(best=5, highest=highest)
    found = cg.screen(model, PROTOTYPES, tmp_path / "o", elements=LISTS, keep=keep, **SIZES)
    all_rows = read_rows(screened.results).to_pylist()
    expected = all_rows[::-1][:5] if highest else all_rows[:5]
    assert read_rows(found.results).to_pylist() == expected


def test_thresholds_select_a_range(model, screened, tmp_path) -> None:
    means = read_rows(screened.results)["mean"].to_numpy()
    keep = cg.Keep(below=means[20], above=means[3])
    found = cg.screen(model, PROTOTYPES, tmp_path / "o", elements=LISTS, keep=keep, **SIZES)
    assert read_rows(found.results)["mean"].to_pylist() == means[4:20].tolist()
    assert found.report["left_out"]["outside the thresholds"] == 51 - 16


def test_filters_are_counted_by_reason(model, tmp_path) -> None:
    filters = CompositionFilter(charge="ordered", distinct=True)
    found = cg.screen(
        model, PEROVSKITE, tmp_path / "o", elements=ELEMENTS, filters=filters, **SIZES
    )
    rows = read_rows(found.results).to_pylist()
    template = Template.of(PEROVSKITE, SHARE)
    pools = tuple(tuple(atomic_number(s) for s in ELEMENTS[c]) for c in template.classes)
    numbers = Assignments(pools).at(0, 48)
    codes = filters.codes(numbers, template.counts)
    assert {row["id"] for row in rows} == {template.name_of(r) for r in numbers[codes == 0]}
    expected = {REASONS[c]: int((codes == c).sum()) for c in set(codes.tolist()) - {0}}
    assert found.report["left_out"] == expected
    assert len(expected) == 2


def test_hits_have_an_interval_and_a_hull_distance(model, screened, tmp_path) -> None:
    phases = [((8, 1), (20, 1)), ((8, 2), (22, 1))]  # CaO and TiO2
    hull = cg.KnownHull(phases, [-3.0, -2.5])
    options = {"elements": ELEMENTS, "hull": hull, **SIZES}
    found = cg.screen(model, PEROVSKITE, tmp_path / "o", **options)
    rows = {row["id"]: row for row in read_rows(found.results).to_pylist()}
    row = rows["abx3:Ca-Ti-O"]
    assert row["hull_distance"] == pytest.approx(row["mean"] - (2 * -3.0 + 3 * -2.5) / 5)
    row = rows["abx3:Ba-Zr-F"]
    assert row["hull_distance"] == row["mean"]
    assert row["lower"] < row["mean"] < row["upper"]
    # One crystal of each element in the training set of this model.
    assert row["out_of_distribution"]
    assert (row["unseen_elements"], row["rare_elements"]) == (None, "F Zr Ba")
    plain = {row["id"]: row for row in read_rows(screened.results).to_pylist()}
    assert plain["abx3:Ba-Zr-F"]["hull_distance"] is None
    assert plain["abx3:Ba-Zr-F"]["mean"] == row["mean"]
    options["hull"] = cg.KnownHull(phases, [-3.0, -2.6])
    with pytest.raises(ConfigError, match="hull: was"):
        cg.screen(model, PEROVSKITE, tmp_path / "o", resume=True, **options)
    gaps = model.replace(units={"e-form@low": "eV"})
    with pytest.raises(ConfigError, match="model of formation energies in eV/atom, got"):
        cg.screen(gaps, PEROVSKITE, tmp_path / "p", **options)


def test_results_are_empty_if_no_candidate_passes(model, tmp_path) -> None:
    filters = CompositionFilter(allowed=("Xe",), distinct=True)
    found = cg.screen(
        model, ROCK_SALT, tmp_path / "o", elements={"*": "all"}, filters=filters, **SIZES
    )
    assert read_rows(found.results).num_rows == found.report["predicted"] == 0


def test_resuming_after_a_kill_during_any_write_gives_the_same_results(
    model, tmp_path, screened
) -> None:
    out = tmp_path / "out"
    with snapshots(out, tmp_path / "snapshots") as copies:
        cg.screen(model, PROTOTYPES, out, elements=LISTS, **SIZES)
    assert len(copies) > 30
    expected = files(screened.results)
    for copy in copies[:: 1 if len(copies) < 60 else 2]:
        resumed = cg.screen(model, PROTOTYPES, copy, elements=LISTS, resume=True, **SIZES)
        assert files(resumed.results) == expected
        assert {**resumed.report, "seconds": 0, "candidates_per_second": 0} == {
            **screened.report,
            "seconds": 0,
            "candidates_per_second": 0,
        }
        assert set(files(copy)) == set(files(screened.path))


def test_the_best_are_the_same_after_a_kill(model, tmp_path, monkeypatch) -> None:
    options = {"elements": LISTS, "keep": cg.Keep(best=6), **SIZES}
    whole = cg.screen(model, PROTOTYPES, tmp_path / "whole", **options)
    stop, n_chunks = StopRequest(), 0
    add_chunk = screen_loop._add_chunk

    def stopping(*args):
        nonlocal n_chunks
        add_chunk(*args)
        n_chunks += 1
        stop.signum = 15 if n_chunks == 3 else None

    with monkeypatch.context() as patch:
        patch.setattr(screen_loop, "_add_chunk", stopping)
        patch.setattr(screen_loop, "stop_requests", lambda: nullcontext(stop))
        with pytest.raises(Interrupted, match="after 24 candidates"):
            cg.screen(model, PROTOTYPES, tmp_path / "broken", **options)
    lines = (tmp_path / "broken" / "screening.jsonl").read_text().splitlines()
    assert len(lines) == 1 + 3
    resumed = cg.screen(model, PROTOTYPES, tmp_path / "broken", resume=True, **options)
    assert files(resumed.results) == files(whole.results)
    again = cg.screen(model, PROTOTYPES, tmp_path / "broken", resume=True, **options)
    assert again.report == resumed.report


def test_a_stream_of_structures(model, tmp_path, screened) -> None:
    rows = {row["id"]: row for row in read_rows(screened.results).to_pylist()}
    template = Template.of(PEROVSKITE, SHARE)
    crystals = [
        template.decorated([atomic_number(s) for _, s in row["elements"]])
        for row in rows.values()
        if row["prototype"] == "abx3"
    ]
    options = {"filters": CompositionFilter(forbidden=("La",)), **SIZES}
    found = cg.screen(model, crystals, tmp_path / "o", **options)
    expected = [
        row for row in rows.values() if row["prototype"] == "abx3" and "La" not in row["id"]
    ]
    streamed = read_rows(found.results).to_pylist()
    assert {row["id"] for row in streamed} == {row["id"] for row in expected}
    for row in streamed:
        assert row["mean"] == pytest.approx(rows[row["id"]]["mean"], rel=1e-5, abs=1e-6)
        assert row["formula"] == rows[row["id"]]["formula"]
        assert (row["prototype"], row["elements"]) == (None, None)
    assert found.report["left_out"] == {"element not allowed": 12}
    # Resumed from a journal cut off in its second line, the results have the same bytes.
    broken = tmp_path / "broken"
    broken.mkdir()
    lines = (found.path / "screening.jsonl").read_text().splitlines(keepends=True)
    (broken / "screening.jsonl").write_text(lines[0] + lines[1][:20])
    resumed = cg.screen(model, crystals, broken, resume=True, **options)
    assert files(resumed.results) == files(found.results)


def test_a_stream_that_changed_is_refused(model, tmp_path) -> None:
    template = Template.of(ROCK_SALT, SHARE)
    crystals = [template.decorated(row) for row in Assignments(((11, 19, 37),) * 2).at(0, 9)]
    options = {"keep": cg.Keep(below=-1e9), **SIZES}
    found = cg.screen(model, crystals, tmp_path / "o", **options)
    (found.path / "report.json").unlink()
    with pytest.raises(MismatchError, match="structures 0 to 8 have changed"):
        cg.screen(model, crystals[::-1], found.path, resume=True, **options)
    cg.screen(model, crystals, found.path, resume=True, **options)


def test_bad_structures_are_listed_or_raised(model, tmp_path) -> None:
    good = Template.of(ROCK_SALT, SHARE).decorated([11, 17])
    flat = cg.Crystal(
        id="flat",
        lattice=np.ones((3, 3)),
        frac_coords=good.frac_coords,
        atomic_numbers=good.atomic_numbers,
    )
    with pytest.raises(StructureError, match="'flat'"):
        cg.screen(model, [good, flat], tmp_path / "o", **SIZES)
    found = cg.screen(model, [good, flat], tmp_path / "p", on_error="skip", **SIZES)
    assert (found.report["skipped"], found.report["rows"]) == (1, 1)
    assert "flat" in (found.path / "skipped.csv").read_text()
    with pytest.raises(StructureError, match=r"prototype 'flat': expected an ordered crystal"):
        cg.screen(model, [flat], tmp_path / "q", elements={"*": "all"}, on_error="skip", **SIZES)


def test_crystals_of_a_store_are_screened(model, ionic_store, tmp_path) -> None:
    data = ionic_store.all().select(np.arange(20))
    found = cg.screen(model, data, tmp_path / "o", batch_size=BATCH, chunk_rows=12)
    rows = read_rows(found.results).to_pylist()
    separate = cg.predict(model, data, batch_size=BATCH)
    expected = dict(zip(separate.ids, separate.mean.tolist(), strict=True))
    assert {row["id"]: pytest.approx(row["mean"], rel=1e-5, abs=1e-6) for row in rows} == expected
    filters = CompositionFilter(charge="neutral")  # the generated crystals are ionic
    again = cg.screen(model, data, tmp_path / "p", filters=filters, batch_size=BATCH)
    assert again.report["predicted"] > 15


def test_invalid_input_is_refused(model, tmp_path, screened) -> None:
    def refused(error, match, inputs=PEROVSKITE, out=tmp_path / "o", **options):
        with pytest.raises(error, match=match):
            cg.screen(model, inputs, out, **{"elements": ELEMENTS, **SIZES, **options})

    refused(StructureError, "unknown element 'Xx'", elements={"O": ["Xx"]})
    refused(InputError, "'O' twice", elements={"O": ["O", "O"]})
    refused(InputError, "at least one element symbol", elements={"O": []})
    refused(InputError, r"one of \['O', 'Sr', 'Ti'\], .* got 'Fe'", elements={"Fe": ["O"]})
    refused(InputError, "two prototypes have the id 'abx3'", inputs=[PEROVSKITE, PEROVSKITE])
    refused(TargetError, "one of .'e-form@low'.*, got 'gap'", target="gap")
    refused(ConfigError, "sizes of at least 1", chunk_rows=0)
    table = model.element_table
    known = table.known.copy()
    known[56] = False
    vectors = np.where(known[:, None], table.vectors, 0)
    no_barium = cg.ElementTable(name="no Ba", vectors=vectors, known=known)
    with pytest.raises(MismatchError, match=r"'no Ba' has no vector for \['Ba'\]; remove"):
        cg.screen(
            model.replace(element_table=no_barium),
            PEROVSKITE,
            tmp_path / "o",
            elements=ELEMENTS,
            **SIZES,
        )
    refused(RunExistsError, "holds a screening; resume it with --resume", out=screened.path)
    refused(ConfigError, "resume with the same options", out=screened.path, resume=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious.txt").write_text("x")
    refused(RunExistsError, "other files than a screening", out=tmp_path / "mine", resume=True)
    refused(RunExistsError, "is a file", out=tmp_path / "mine" / "precious.txt")
    refused(InputError, "at least one candidate", inputs=[], elements=None)


def test_damaged_folders_are_refused(model, tmp_path, screened) -> None:
    out = tmp_path / "o"
    shutil.copytree(screened.path, out)
    file = out / "results" / "00000.parquet"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(InputError, match="expected SHA-256"):
        cg.screen(model, PROTOTYPES, out, elements=LISTS, resume=True, **SIZES)
    (out / "screening.jsonl").write_text("{}\n")
    with pytest.raises(InputError, match="cannot be read as a journal"):
        cg.screen(model, PROTOTYPES, out, elements=LISTS, resume=True, **SIZES)


def test_unseen_elements_are_left_out_unless_they_are_kept(model, tmp_path, caplog) -> None:
    seen = np.ones(104, np.int64)
    seen[[22, 9]] = 0
    doubtful = model.replace(record=TrainingRecord(training=seen))
    found = cg.screen(doubtful, PEROVSKITE, tmp_path / "a", elements=ELEMENTS, **SIZES)
    rows = read_rows(found.results).to_pylist()
    assert len(rows) == 4 * 3 * 2
    assert not any("Ti" in row["formula"] or "F" in row["formula"] for row in rows)
    assert found.report["left_out"]["element never seen in training"] == 48 - 24
    assert found.report["options"]["filters"]["unseen"] == ["F", "Ti"]
    assert "24 of 48 candidates contain elements never seen in training; left out" in caplog.text
    caplog.clear()
    kept = cg.screen(
        doubtful, PEROVSKITE, tmp_path / "b", elements=ELEMENTS, keep_unseen=True, **SIZES
    )
    by_id = {row["id"]: row for row in read_rows(kept.results).to_pylist()}
    assert len(by_id) == 48
    assert [by_id[i]["unseen_elements"] for i in ("abx3:Ca-Ti-F", "abx3:Ca-Ti-O", "abx3:Sr-Al-O")
            ] == ["F Ti", "Ti", None]  # fmt: skip
    assert "24 of 48 results contain elements never seen in training: F, Ti" in caplog.text


def test_unseen_elements_of_streams_and_stores(model, ionic_store, tmp_path) -> None:
    seen = np.ones(104, np.int64)
    seen[8] = 0
    doubtful, crystals = (
        model.replace(record=TrainingRecord(training=seen)),
        cg.ionic_crystals(120, seed=0),
    )
    oxides = {c.id for c in crystals if 8 in c.atomic_numbers}
    for name, data in (("stream", crystals), ("store", ionic_store)):
        found = cg.screen(doubtful, data, tmp_path / name)
        assert {r["id"] for r in read_rows(found.results).to_pylist()} == {
            c.id for c in crystals
        } - oxides
        kept = cg.screen(doubtful, data, tmp_path / f"{name}-all", keep_unseen=True)
        rows = read_rows(kept.results).to_pylist()
        assert {r["id"] for r in rows if r["unseen_elements"] == "O"} == oxides
        assert len(rows) == 120
