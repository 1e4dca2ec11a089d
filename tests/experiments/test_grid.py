"""Grids: keys of trainings, each training done once, several processes, time limit."""

import csv
from pathlib import Path
from types import SimpleNamespace

import pytest
from experiments.commands import EXPERIMENTS
from experiments.grid import Row, Training
from experiments.grid.datasets import DatasetSource
from experiments.grid.locks import locked
from experiments.grid.results import NUMBERS, ResultsTable, finished_rows
from experiments.grid.runner import OVERHEAD, Pace, dry_run, run_grid, work_of
from experiments.grid.training import trainings_of
from experiments.scales import SCALES

import cgatjax as cg
from cgatjax.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
FINGERPRINTS = {"low": "a", "high": "b", "other": "c"}


def key_of(training, **changes):
    return training.key({**FINGERPRINTS, **changes}.__getitem__)


def training(**changes):
    options = {"data": "low", "target": "e-form@low", "model": cg.ModelConfig.small(),
               "train": cg.TrainConfig(batch_size=10), "steps": 100}  # fmt: skip
    return Training(**{**options, **changes})


def transferred(**changes):
    options = {"data": "high", "target": "e-form@high", "start": training(), "mode": "full"}
    return training(**{**options, **changes})


def test_the_key_changes_with_everything_that_determines_the_result():
    base = key_of(transferred())
    others = [
        transferred(seed=1),
        transferred(size=10),
        transferred(mode="head"),
        transferred(normalizer="keep"),
        transferred(minimum=0.1),
        transferred(steps=101),
        transferred(model=cg.ModelConfig.small(heads=2)),
        transferred(train=cg.TrainConfig(batch_size=10, learning_rate=1e-4)),
        transferred(start=training(seed=1)),
        transferred(start=training(held_out=("high",))),
    ]
    keys = {base, *map(key_of, others)}
    assert len(keys) == 1 + len(others)
    assert key_of(transferred(), high="changed") not in keys
    assert key_of(transferred(), low="changed") not in keys


def test_the_key_ignores_what_changes_no_number():
    base = key_of(transferred())
    assert key_of(transferred(), other="changed") == base
    other_checkpoints = cg.TrainConfig(batch_size=10, checkpoint_seconds=5)
    assert key_of(transferred(train=other_checkpoints)) == base


def test_the_names_that_enter_keys_and_folders_are_fixed():
    """A renamed attribute would repeat all finished trainings, or featurize all data again."""
    names = "data target size minimum held_out model train steps start mode normalizer lr_groups"
    assert set(training().to_dict()) == {*names.split(), "frozen_share", "seed"}
    source = DatasetSource(label="PBE", crystals=1).to_dict()
    assert set(source) == {"label", "folder", "crystals", "max_atoms", "graph"}


def test_the_data_sets_of_a_transfer_include_those_of_its_start():
    assert transferred(start=training(held_out=("other",))).datasets == ("low", "other", "high")


@pytest.mark.parametrize(
    "changes", [{"steps": 0}, {"size": 0}, {"mode": "full"}, {"start": training()}]
)
def test_inconsistent_specifications_are_refused(changes):
    with pytest.raises(ConfigError):
        training(**changes)


def test_epochs_follow_from_the_steps():
    """25 crystals in batches of 10 are 3 steps an epoch: 33 epochs of 3 are 99 steps."""
    config = training().schedule(25)
    assert (config.epochs, config.validate_every) == (33, 1)
    assert training().schedule(10_000).epochs == 1


def test_a_grid_needs_each_training_once_and_starts_first():
    rows = [
        Row(labels={}, candidates=transferred().at_rates((1e-3, 1e-4))),
        Row(labels={}, candidates=(transferred(seed=1),)),
    ]
    found = trainings_of(rows)
    assert len(found) == 4
    assert found[0] == training()


def test_the_budget_lists_shared_trainings_once():
    rows = EXPERIMENTS["budget"].rows(SCALES["local"]())
    assert len({row.candidates for row in rows}) == len(rows)


class FakePool:
    """Pool that counts trainings instead of training."""

    def __init__(self, out):
        self.out, self.done = out, []
        self.datasets = SimpleNamespace(
            fingerprint=FINGERPRINTS.__getitem__, expected_size=lambda training: 1234
        )

    def record(self, wanted):
        return {} if wanted in self.done else None

    def train(self, wanted, show_progress):
        assert wanted not in self.done, "a finished training was repeated"
        assert wanted.start is None or wanted.start in self.done
        self.done.append(wanted)
        return True

    def result(self, row):
        if any(t not in self.done for t in row.candidates):
            return None
        numbers = dict.fromkeys(
            ("n_train", "learning_rate", "valid_mae", "test_mae", "test_rmse", "n_test"), 0.5
        )
        return {"key": key_of(row), **row.labels, **numbers, "seconds": 1.0}


ROWS = [Row(labels={"seed": s}, candidates=(transferred(seed=s),)) for s in range(3)]


def test_a_grid_is_run_once_and_its_table_grows_row_by_row(tmp_path):
    pool = FakePool(tmp_path)
    first = run_grid("x", ROWS[:2], pool)
    assert len(pool.done) == 3
    again = run_grid("x", ROWS, pool)
    assert len(pool.done) == 4
    assert list(again.rows)[:2] == list(first.rows)
    with open(tmp_path / "x" / "results.csv", newline="") as file:
        assert [row["seed"] for row in csv.DictReader(file)] == ["0", "1", "2"]
    rows = finished_rows("x", ROWS, pool)
    assert [row["seed"] for row in rows] == [0, 1, 2]
    assert rows[0]["test_mae"] == 0.5


def test_rows_trained_by_another_experiment_are_added_to_the_table(tmp_path):
    pool = FakePool(tmp_path)
    run_grid("x", ROWS[:2], pool)
    assert [row["seed"] for row in finished_rows("y", ROWS, pool)] == [0, 1]
    assert (tmp_path / "y" / "results.csv").is_file()
    assert len(pool.done) == 3


class SharedPool(FakePool):
    """Pool whose first training another process works on, and has finished at the next check."""

    def __init__(self, out):
        super().__init__(out)
        self.refused = 0

    def train(self, wanted, show_progress):
        if wanted == ROWS[0].candidates[0] and not self.refused:
            self.refused += 1
            return False
        if wanted not in self.done:
            super().train(wanted, show_progress)
        return True


def test_a_training_of_another_process_is_skipped_and_checked_again(tmp_path):
    pool = SharedPool(tmp_path)
    results = run_grid("x", ROWS, pool, pause=0.0)
    assert pool.refused == 1
    assert [row["seed"] for row in results.rows.values()] == ["1", "2", "0"]


def test_two_tables_of_one_file_keep_each_others_rows(tmp_path):
    one, two = ResultsTable(tmp_path / "results.csv"), ResultsTable(tmp_path / "results.csv")
    one.add({"key": "a", "mae": 1})
    two.add({"key": "b", "mae": 2})
    assert list(ResultsTable(tmp_path / "results.csv").rows) == ["a", "b"]


def test_a_lock_is_held_for_its_block_only(tmp_path):
    with locked(tmp_path / "x") as first, locked(tmp_path / "x") as second:
        assert (first, second) == (True, False)
    with locked(tmp_path / "x", wait=True) as again:
        assert again


def test_rows_of_another_grid_stay_in_the_file_but_are_not_shown(tmp_path):
    pool = FakePool(tmp_path)
    run_grid("x", ROWS, pool)
    assert len(finished_rows("x", ROWS[:1], pool)) == 1
    assert len(ResultsTable(tmp_path / "x" / "results.csv").rows) == 3


def test_the_time_limit_stops_between_trainings_after_at_least_one(tmp_path):
    pool = FakePool(tmp_path)
    results = run_grid("x", ROWS, pool, minutes=0)
    assert (len(pool.done), len(results.rows)) == (1, 0)
    results = run_grid("x", ROWS, pool, minutes=0)
    assert (len(pool.done), len(results.rows)) == (2, 1)
    assert len(run_grid("x", ROWS, pool).rows) == 3


def test_the_table_is_complete_after_every_row(tmp_path):
    path = tmp_path / "deep" / "results.csv"
    table = ResultsTable(path)
    table.add({"key": "a", "mae": 0.25})
    table.add({"key": "b", "way": "full, rescaled"})
    assert list(ResultsTable(path).rows.values()) == [
        {"key": "a", "mae": "0.25", "way": ""},
        {"key": "b", "mae": "", "way": "full, rescaled"},
    ]
    assert [p.name for p in path.parent.glob("*.csv*")] == ["results.csv", "results.csv.lock"]


def test_the_pace_is_assumed_at_first_and_measured_then():
    pace = Pace(crystals_per_second=100)
    assert work_of(training()) == 1000
    assert work_of(transferred(mode="head")) == 50
    assert pace.expected(training()) == pytest.approx(10 + OVERHEAD)
    pace.update(training(), 5.0)
    assert pace.expected(training()) == pytest.approx(5)


def test_a_dry_run_lists_every_training_with_size_and_time(tmp_path):
    lines = dry_run(ROWS, FakePool(tmp_path), Pace(crystals_per_second=100))
    rows = [line for line in lines[:-1] if not line.startswith((" ", "sum of "))]
    assert rows == [", ".join(f"{k} {v}" for k, v in row.labels.items()) for row in ROWS]
    trainings = [line for line in lines[:-1] if line.startswith(" ")]
    assert len(trainings) == 4
    assert "1  low: e-form@low, none, about 1,234 crystals, 100 steps of 10" in trainings[0]
    assert "full from e-form@low (normalizer refit)" in trainings[1]
    sums = [line for line in lines if line.startswith("sum of ")]
    assert sum(int(line.split(": ")[1].split()[0]) for line in sums) == 4
    assert sums[0].startswith("sum of low, none: ")
    assert lines[-1].startswith("3 rows, 4 trainings, 1.3 min at 100 crystals/s")


@pytest.mark.parametrize("scale", list(SCALES))
@pytest.mark.parametrize("name", list(EXPERIMENTS))
def test_grids_are_consistent_at_every_scale(name, scale):
    made = SCALES[scale]()
    rows = EXPERIMENTS[name].rows(made)
    assert len({tuple(row.labels.items()) for row in rows}) == len(rows)
    for one in trainings_of(rows):
        assert set(one.datasets) <= set(made.sources)
    held_out = {t.high: t.held_out for t in made.target_sets}
    assert all(high in names for high, names in held_out.items())


@pytest.mark.parametrize("scale", list(SCALES))
def test_all_modes_of_table_1_get_the_same_crystals_steps_and_rates(scale):
    groups = {}
    for row in EXPERIMENTS["table1"].rows(SCALES[scale]()):
        if row.labels["way"] != "pre-training":
            options = {
                (t.data, t.size, t.steps, t.seed, t.minimum, t.train.learning_rate)
                for t in row.candidates
            }
            groups.setdefault((row.labels["targets"], row.labels["seed"]), []).append(options)
    for options in groups.values():
        assert 4 <= len(options) <= 6  # the modes of the paper, and differences where possible
        assert all(o == options[0] for o in options)


def test_every_grid_contains_the_grid_of_the_first_seed():
    local = SCALES["local"]()
    for name, experiment in EXPERIMENTS.items():
        everything = [row.labels for row in experiment.rows(local)]
        first = [row.labels for row in experiment.rows(local.with_seeds(1))]
        assert first == [labels for labels in everything if labels["seed"] == 0], name
    with pytest.raises(ConfigError, match="got 0"):
        local.with_seeds(0)


@pytest.mark.parametrize(
    "path",
    [
        p
        for p in sorted(ROOT.glob("docs/results/local/*/results.csv"))
        if p.parent.name in EXPERIMENTS
    ],
    ids=lambda p: p.parent.name,
)
def test_published_results_have_the_columns_of_their_grid(path):
    table = ResultsTable(path)
    rows = EXPERIMENTS[path.parent.name].rows(SCALES["local"]())
    if not rows:
        pytest.skip("its rows are no trainings of networks")
    labels = rows[0].labels
    assert table.rows
    for row in table.rows.values():
        assert set(labels) <= set(row)
        assert all(float(row[name]) >= 0 for name in NUMBERS)


def test_every_script_says_its_command_the_papers_result_and_the_expected_one():
    for name in EXPERIMENTS:
        text = (ROOT / "experiments" / f"{name}.py").read_text().split('"""')[1]
        for words in (f"run {name} ", "Paper", "Expected"):
            assert words in text, (name, words)
