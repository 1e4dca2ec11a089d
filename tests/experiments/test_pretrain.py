"""Pre-trained models from stores alone: both stages, held-out formulas, card and folder."""

import csv
import dataclasses
import json
import sys

import jax
import numpy as np
import pytest
from click.testing import CliRunner
from experiments.commands import main
from experiments.grid.datasets import nested, split_by_formula
from experiments.pretrain import (
    FIRST_TARGETS,
    HEADS,
    JOINT_HEADS,
    JOINT_TARGETS,
    TARGETS,
    continued,
)

import cgatjax as cg
from cgatjax.data.datasets import ConcatDataset
from cgatjax.errors import ConfigError
from cgatjax.inference.prediction import embed
from cgatjax.pretrained.self_check import verify
from cgatjax.simple_models import SimpleModel, composition_features

NETWORK = ["--node-dim", 6, "--edge-dim", 4, "--heads", 2, "--steps", 1, "--composition-steps", 1,
           "--composition-hidden", 6, "--head-widths", 8]  # fmt: skip


def options(stores, out):
    """Options of a training of seconds."""
    return [
        *("--stores", stores, "--out", out, "--exclude", stores / "optb88vdw"),
        *("--training-steps", 8, "--first-training-steps", 6, "--batch-size", 32),
        *("--learning-rate", 0.005, "--fractions", "0.8,0.1,0.1", *NETWORK),
    ]


def run(*arguments):
    result = CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def renamed(crystals, **names):
    """The crystals with some properties under other names, and their volumes per atom."""
    volumes = [abs(np.linalg.det(c.lattice)) / c.n_sites for c in crystals]
    return [
        dataclasses.replace(
            c,
            targets={
                "volume": v,
                "cell_volume": v,
                **{new: c.targets[old] for new, old in names.items()},
            },
        )
        for c, v in zip(crystals, volumes, strict=True)
    ]


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """Stores named as those of the real data, of generated crystals."""
    folder, graphs = tmp_path_factory.mktemp("stores"), cg.GraphConfig.recommended()
    crystals = list(cg.ionic_crystals(240, seed=0))
    low, high = "e-form@low", "e-form@high"
    names = {"e-form": low, "e_above_hull_new": high, "band_gap_ind": low}
    pbe = renamed(crystals[:160], **names)
    cg.build_store(pbe, folder / "pbe", graphs)
    cg.build_store(renamed(crystals, **{"e-form_chgnet": low}), folder / "chgnet", graphs)
    other = {"e-form": high, "band_gap_ind": low}
    cg.build_store(renamed(crystals[120:], **other), folder / "pbe_clean", graphs)
    both = {"e-form": high, "e-form_pbe": low}
    cg.build_store(renamed(crystals[:60], **both), folder / "optb88vdw", graphs)
    return folder


@pytest.fixture(scope="module")
def out(stores, tmp_path_factory):
    """Folder of both stages and the published model, made without the readers of structures."""
    folder = tmp_path_factory.mktemp("pretrain")
    with pytest.MonkeyPatch.context() as patch:
        readers = [n for n in sys.modules if n.split(".")[0] in ("pymatgen", "gemmi")]
        for name in {*readers, "pymatgen", "gemmi"}:
            patch.setitem(sys.modules, name, None)
        run("pretrain", "train", *options(stores, folder))
        run("pretrain", "publish", "--stores", stores, "--out", folder, "--name", "tiny",
            "--commit", "abc")  # fmt: skip
    return folder


def test_no_stage_sees_a_held_out_formula(stores, out):
    model = cg.load_model(out / "pbe")
    sets = {
        stage: cg.open_store(stores / stage).apply(cg.Split.load(out / stage / "split.json"))
        for stage in ("chgnet", "pbe")
    }
    seen = {f for train, _, _ in sets.values() for f in train.formulas}
    _, valid, test = sets["pbe"]
    held = cg.open_store(stores / "optb88vdw")
    _, *study = held.apply(split_by_formula(held))
    for subset in (valid, test, *study):
        assert len(subset) > 0
        assert not seen & set(subset.formulas)
    assert len(model.record.train.formulas) == len(seen)
    assert len(model.record.test.formulas) == len(set(test.formulas))
    first, second = model.record.stages
    assert (first["targets"], second["targets"]) == (["e-form_chgnet"], list(TARGETS))


def test_the_card_has_what_was_measured(stores, out):
    model, card = cg.load_model(out / "tiny"), cg.ModelCard.read(out / "tiny")
    assert model.targets == tuple(card.targets) == TARGETS
    assert model.predicts_std == TARGETS
    _, valid, test = cg.open_store(stores / "pbe").apply(cg.Split.load(out / "pbe" / "split.json"))
    assert card.errors["held-out formulas"] == cg.evaluate(model, test)
    new_types = list(card.errors.values())[1]["e-form@PBE"]["n"]
    assert 0 <= new_types <= len(test)
    elements = card.by_element["e-form@PBE"]
    assert sum(e["n"] for e in elements.values()) >= 2 * len(test)
    found = cg.predict(model, valid)
    error = np.abs(found.means["volume@PBE"] - valid.target("volume"))
    # The factor puts the right part of the validation set into the central halves.
    inside = np.mean(error < 0.6745 * found.stds["volume@PBE"])
    assert 0.2 < inside < 0.8
    assert card.calibration["volume@PBE"]["factor"] > 0
    assert card.storage["volume@PBE"]["largest"] >= card.storage["volume@PBE"]["mean"] >= 0
    assert card.made_by["commit"] == "abc"
    assert "--first-training-steps 6" in card.made_by["command"]
    assert "test sets of optb88vdw" in card.text()
    assert [source.targets for source in card.data] == [FIRST_TARGETS, TARGETS]
    assert [source.crystals for source in card.data] == [
        stage["inputs"]["train"]["crystals"] for stage in model.record.stages[:2]
    ]
    assert verify(out / "tiny").crystals == min(8, len(test))


@pytest.fixture(scope="module")
def joint(stores, tmp_path_factory):
    """Folder of a training on both data sets at once, and the published model."""
    folder = tmp_path_factory.mktemp("joint")
    run("pretrain", "train", *options(stores, folder), "--joint-training-steps", 12)
    run("pretrain", "publish", "--stores", stores, "--out", folder, "--name", "tiny")
    return folder


def test_both_data_sets_at_once(stores, joint):
    model, published = cg.load_model(joint / "joint"), cg.load_model(joint / "tiny")
    assert model.targets == (*TARGETS, *JOINT_TARGETS)
    sets = {
        part: cg.open_store(stores / part).apply(cg.Split.load(joint / part / "split.json"))
        for part in ("chgnet", "pbe")
    }
    _, valid, test = sets["pbe"]
    seen = {f for train, _, _ in sets.values() for f in train.formulas}
    assert not seen & {*valid.formulas, *test.formulas}
    assert len(model.record.train.formulas) == len(seen)
    assert len(model.record.test.formulas) == len(set(test.formulas))
    # The heads of the potential have learned, too; those of PBE are published unchanged.
    both = ConcatDataset(
        sets["chgnet"][0].restrict_targets(*JOINT_TARGETS),
        sets["pbe"][0].restrict_targets(*TARGETS),
    )
    start = cg.init_model(model.config, both, target=model.targets, seed=0)
    for target in model.targets:
        first, last = (jax.tree.leaves(m.params["heads"][target]) for m in (start, model))
        assert any(not np.array_equal(a, b) for a, b in zip(first, last, strict=True))
    ours, theirs = cg.predict(model, test).means, cg.predict(published, test).means
    assert tuple(theirs) == published.targets == TARGETS
    for target in TARGETS:
        np.testing.assert_allclose(theirs[target], ours[target], rtol=1e-3, atol=1e-3)
    card = cg.ModelCard.read(joint / "tiny")
    assert "--joint-training-steps 12" in card.made_by["command"]
    assert [source.targets for source in card.data] == [JOINT_TARGETS, TARGETS]
    assert " --training-steps" not in card.made_by["command"]


def test_joint_training_continues_a_model(stores, out, tmp_path):
    base = options(stores, tmp_path)
    with pytest.raises(ConfigError, match=r"start: expected None without joint_training_steps"):
        run("pretrain", "train", *base, "--start", out / "tiny")
    with pytest.raises(ConfigError, match=r"also: expected empty without joint_training_steps"):
        run("pretrain", "train", *base, "--also", stores / "pbe_clean")
    # At a rate of next to nothing the model is that of the start.
    run("pretrain", "train", *base, "--start", out / "tiny", "--joint-training-steps", 1,
        "--learning-rate", 1e-12, "--also", stores / "pbe_clean")  # fmt: skip
    start, model = cg.load_model(out / "tiny"), cg.load_model(tmp_path / "joint")
    _, _, test = cg.open_store(stores / "pbe").apply(cg.Split.load(tmp_path / "pbe" / "split.json"))
    theirs, ours = (cg.predict(m, test).means for m in (start, model))
    own = {"e-form@pbe_clean": "e-form@PBE", "band_gap_ind@pbe_clean": "band_gap_ind@PBE"}
    sources = {**{target: target for target in TARGETS}, **JOINT_HEADS, **own}
    assert set(model.targets) == set(sources)
    for target, source in sources.items():
        np.testing.assert_allclose(ours[target], theirs[source], rtol=1e-3, atol=1e-4)
    earlier = start.record.stages
    assert list(model.record.stages[: len(earlier)]) == list(earlier)
    run("pretrain", "publish", "--stores", stores, "--out", tmp_path, "--name", "tiny")
    card = cg.ModelCard.read(tmp_path / "tiny")
    assert "--start tiny" in card.made_by["command"]
    assert "--also STORES/pbe_clean" in card.made_by["command"]
    assert len(card.data) == 3
    # Its crystals have none of the held-out formulas either.
    held = cg.open_store(stores / "optb88vdw")
    kept_out = {f for part in held.apply(split_by_formula(held))[1:] for f in part.formulas}
    store = cg.open_store(stores / "pbe_clean")
    used, _, _ = store.apply(cg.Split.load(tmp_path / "pbe_clean" / "split.json"))
    assert 0 < len(used) < len(store)
    assert not set(used.formulas) & (kept_out | set(test.formulas))


def test_whole_stores_are_kept_out(stores, tmp_path):
    out = tmp_path / "others"
    given = ["--exclude-whole" if o == "--exclude" else o for o in options(stores, out)]
    run("pretrain", "train", *given)
    kept_out = set(cg.open_store(stores / "optb88vdw").formulas)
    for stage in ("chgnet", "pbe"):
        store, split = cg.open_store(stores / stage), cg.Split.load(out / stage / "split.json")
        assert kept_out & set(store.formulas)
        used = store.rows_of([*split.train, *split.valid, *split.test])
        assert used.size
        assert not kept_out & {store.formulas[row] for row in used}
    run("pretrain", "publish", "--stores", stores, "--out", out, "--name", "others")
    card = cg.ModelCard.read(out / "others")
    assert "Kept out of all trainings: all formulas of optb88vdw." in card.text()
    assert "--exclude-whole STORES/optb88vdw" in card.made_by["command"]


def test_a_second_call_trains_nothing(stores, out):
    before = (out / "pbe" / "history.csv").read_bytes()
    recipe = json.loads((out / "recipe.json").read_text())
    assert recipe["exclude"] == [str(stores / "optb88vdw")]
    run("pretrain", "train", *options(stores, out))
    assert (out / "pbe" / "history.csv").read_bytes() == before


def test_the_second_stage_continues_the_first(stores, out):
    start, pbe = cg.load_model(out / "chgnet"), cg.open_store(stores / "pbe")
    train = pbe.all()
    fresh = cg.init_model(start.config, train, target=TARGETS, seed=1)
    model = continued(fresh, start, train, HEADS)
    np.testing.assert_array_equal(embed(model, train[:5]), embed(start, train[:5]))
    ours, theirs = cg.predict(model, train[:5]).means, cg.predict(start, train[:5]).means
    np.testing.assert_allclose(ours["e-form@PBE"], theirs["e-form_chgnet"], rtol=1e-3, atol=1e-4)


def test_transfers_are_those_of_the_study(stores, out):
    table = out / "transfers"
    base = ("pretrain", "transfers", "--stores", stores, "--model", out / "pbe", "--out", table,
            "--sizes", "16,1000", "--rates", "1e-2", "--seeds", 1, "--batch-size", 16)  # fmt: skip
    shown = run(*base, "--training-steps", 2)
    with open(table / "results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    held = cg.open_store(stores / "optb88vdw")
    split = split_by_formula(held)
    assert [int(row["training crystals"]) for row in rows] == [16, len(split.train)]
    for row in rows:
        assert (row["unit"], int(row["test crystals"])) == ("meV/atom", len(split.test))
        assert (row["seen by graph"], row["seen by formula"]) == ("0", "0")
        assert f"{float(row['test MAE']):.5g}" in shown
    record = json.loads((table / "pbe" / "optb88vdw-full-16-0-0.01" / "record.json").read_text())
    assert float(rows[0]["test MAE"]) == pytest.approx(1000 * record["test_mae"], abs=1e-3)
    before = (table / "results.csv").read_bytes()
    run(*base, "--training-steps", 2)
    assert (table / "results.csv").read_bytes() == before
    with pytest.raises(ConfigError, match=r"full-16-0-0\.01: has other options .*--out"):
        run(*base, "--training-steps", 9)


def test_models_of_one_name_are_refused(tmp_path):
    base = ("pretrain", "transfers", "--stores", tmp_path, "--out", tmp_path / "table")
    with pytest.raises(ConfigError, match=r"names of their own, got \['a/pbe', 'b/pbe'\]"):
        run(*base, "--model", "a/pbe", "--model", "b/pbe")
    assert not (tmp_path / "table").exists()


def test_the_first_stage_alone_on_some_crystals(stores, out, tmp_path):
    run("pretrain", "train", *options(stores, tmp_path), "--training-steps", 0,
        "--first-crystals", 20)  # fmt: skip
    assert not (tmp_path / "pbe").exists()
    some, every = (cg.load_model(f / "chgnet").record.train for f in (tmp_path, out))
    assert len(some.graphs) == 20
    assert set(some.graphs) < set(every.graphs)


FOLDERS = {
    "trees": "pbe/{}-trees-40-0",
    "gp of pbe": "pbe/{}-gp-40-0",
    "trees-embedding of pbe": "pbe/{}-trees-embedding-40-0",
    "gp of chgnet": "chgnet/{}-gp-40-0",
    "trees-embedding of chgnet": "chgnet/{}-trees-embedding-40-0",
}
"""Folders of the ways that two models have."""


def test_differences_by_trees_and_by_gaussian_processes(stores, out, tmp_path):
    modes = [word for way in ("trees", "gp", "trees-embedding") for word in ("--mode", way)]
    run("pretrain", "transfers", "--stores", stores, "--model", out / "pbe", "--model",
        out / "chgnet", "--out", tmp_path, "--sizes", 40, "--seeds", 1, "--baseline", "low",
        *modes)  # fmt: skip
    with open(tmp_path / "results.csv", newline="") as file:
        rows = {row["mode"]: row for row in csv.DictReader(file)}
    assert {row["learns"] for row in rows.values()} == {"difference to e-form_pbe"}
    assert {row["model"] for row in rows.values()} == {"pbe + chgnet"}
    held = cg.open_store(stores / "optb88vdw")
    train, valid, test = held.apply(split_by_formula(held))
    train = nested(train, 40, 0)
    x, new = (composition_features(d, [d.target("e-form_pbe")]) for d in (train, test))
    trees = SimpleModel("trees").fit(x, train.target("e-form") - train.target("e-form_pbe"))
    expected = test.target("e-form_pbe") + trees.predict(new)
    found = {
        way: json.loads(
            (tmp_path / path.format("optb88vdw-minus-e-form_pbe") / "record.json").read_text()
        )
        for way, path in FOLDERS.items()
    }
    np.testing.assert_allclose(found["trees"]["test"], expected, rtol=1e-5)
    assert not np.allclose(found["trees-embedding of pbe"]["test"], expected, rtol=1e-5)

    weighted = next(name for name in rows if name not in FOLDERS)
    assert set(rows) == {*FOLDERS, weighted}
    weights = {w: float(n) for n, w in (part.split(" ", 1) for part in weighted.split(" + "))}
    assert sum(weights.values()) == pytest.approx(1)

    def error(weights, part, data):
        mean = sum(weight * np.array(found[way][part]) for way, weight in weights.items())
        return 1000 * np.abs(mean - data.target("e-form")).mean()

    for name in rows:
        own = weights if name == weighted else {name: 1.0}
        assert float(rows[name]["test MAE"]) == pytest.approx(error(own, "test", test), abs=1e-3)
    best = error(weights, "valid", valid)
    assert best == pytest.approx(float(rows[weighted]["valid MAE"]), abs=1e-3)
    # No way alone is better.
    assert all(best <= error({way: 1.0}, "valid", valid) for way in FOLDERS)


def test_trees_on_what_a_model_leaves_over_depend_on_the_model(stores, out, tmp_path):
    heads = cg.load_model(out / "pbe")
    out_of_place = {t: dataclasses.replace(n, mean=n.mean + 0.5)
                    for t, n in heads.normalizers.items()}  # fmt: skip
    cg.save_model(tmp_path / "other", heads.replace(normalizers=out_of_place))
    run("pretrain", "transfers", "--stores", stores, "--model", out / "pbe", "--model",
        tmp_path / "other", "--out", tmp_path / "table", "--sizes", 40, "--seeds", 1,
        "--baseline", "source", "--mode", "mean", "--mode", "trees")  # fmt: skip
    with open(tmp_path / "table" / "results.csv", newline="") as file:
        rows = {row["mode"]: float(row["test MAE"]) for row in csv.DictReader(file)}
    ways = {f"{way} of {name}" for way in ("mean", "trees") for name in ("pbe", "other")}
    assert ways < set(rows)
    # The mean of what is left over takes a constant in; trees, which read the prediction, too, have
    # other thresholds.
    assert rows["mean of pbe"] == pytest.approx(rows["mean of other"], rel=1e-3)
    assert rows["trees of pbe"] != rows["trees of other"]
