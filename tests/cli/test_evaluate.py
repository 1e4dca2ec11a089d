"""`cgatjax evaluate` from end to end."""

import shutil
from pathlib import Path

from tests.commands import is_png, ok, read_csv, refused

import cgatjax as cg
from cgatjax.data.splits import Split


def test_the_default_subset_is_the_test_set(store: Path, trained_run: Path, tmp_path: Path) -> None:
    n_test = len(Split.load(trained_run / "split.json").test)
    file = tmp_path / "errors.csv"
    output = ok("evaluate", trained_run, store, "--out", file)
    assert f"test set of the run's split: {n_test} crystals" in output
    assert "eV/atom" in output
    rows = read_csv(file)
    assert [*rows[0]] == [
        "id",
        "property",
        "target",
        "prediction",
        "std",
        "unit",
        "unseen_elements",
    ]
    assert len(rows) == n_test
    assert f"0 of the {n_test} crystals were in the training set of the model" in output or (
        "no crystals were in the training set of the model" in output
    )
    whole = ok("evaluate", trained_run, store, "--subset", "all")
    assert "48 crystals" in whole
    assert "38 of the 48 crystals were in the training set of the model (by graph)" in whole
    assert "5 more in its validation set" in whole
    assert f"cgatjax evaluate {trained_run} {store} --subset test" in whole
    assert "choose another name" in refused("evaluate", trained_run, store, "--out", file)
    shutil.copytree(trained_run / "model", tmp_path / "model")
    alone = ok("evaluate", tmp_path / "model", store)
    assert "48 crystals" in alone
    assert f"train --exclude {store} --exclude-by graph" in alone
    new = ok("evaluate", trained_run, store, "--subset", "all", "--exclude-seen", "--out",
             tmp_path / "new.csv")  # fmt: skip
    assert "all crystals without 38 seen in training (by graph): 10 crystals" in new
    assert len(read_csv(tmp_path / "new.csv")) == 10
    assert "--subset all" in refused("evaluate", tmp_path / "model", store, "--subset", "test")


def test_plots_draws_every_kind_of_figure(
    recommended_store: Path, robust_run: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "figures"
    output = ok("evaluate", robust_run, recommended_store, "--subset", "all", "--plots", folder)
    names = {"parity.png", "elements.png", "sites.png", "calibration.png"}
    assert {file.name for file in folder.iterdir()} == names
    assert all(is_png(file) for file in folder.iterdir())
    assert f"sites: {folder / 'sites.png'}" in output
    assert "choose another name" in refused(
        "evaluate", robust_run, recommended_store, "--plots", folder
    )


def test_a_split_of_another_store_is_named(store: Path, trained_run: Path, tmp_path: Path) -> None:
    graphs = cg.open_store(store).graph_config
    other = cg.build_store(cg.ionic_crystals(3, seed=1), tmp_path / "other", graphs)
    line = refused("evaluate", trained_run, other.path, "--subset", "test")
    assert f"the split of {trained_run} is of another store; use --subset all" in line
