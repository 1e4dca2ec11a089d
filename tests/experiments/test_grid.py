"""Descriptions of trainings, their hashes, and a grid that is done once and within its time."""

import csv
from pathlib import Path

import pytest
from experiments.claims import claimed
from experiments.registry import EXPERIMENTS
from experiments.runner import (
    OVERHEAD,
    Pace,
    Results,
    collected,
    dry_run,
    rows_of,
    run_grid,
    work_of,
)
from experiments.scales import SCALES
from experiments.specification import Cell, Training, at_rates, distinct, needed

import cgatjax as cg
from cgatjax.errors import ConfigError

PRINTS = {"low": "a", "high": "b", "other": "c"}


def training(**changes):
    options = {"data": "low", "target": "e-form@low", "model": cg.ModelConfig.small(),
               "train": cg.TrainConfig(batch_size=10), "steps": 100}  # fmt: skip
    return Training(**{**options, **changes})


def transferred(**changes):
    options = {"data": "high", "target": "e-form@high", "start": training(), "mode": "full"}
    return training(**{**options, **changes})


def test_the_key_changes_with_everything_that_determines_the_result():
    base = transferred().key(PRINTS)
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
    keys = {base, *(t.key(PRINTS) for t in others)}
    assert len(keys) == 1 + len(others)
    assert transferred().key({**PRINTS, "high": "changed"}) not in keys
    assert transferred().key({**PRINTS, "low": "changed"}) not in keys


def test_the_key_does_not_change_with_what_changes_no_number():
    base = transferred().key(PRINTS)
    assert transferred().key({**PRINTS, "other": "changed"}) == base
    patient = cg.TrainConfig(batch_size=10, checkpoint_seconds=5)
    assert transferred(train=patient).key(PRINTS) == base


def test_data_sets_of_a_training_are_those_of_its_start_too():
    assert transferred(start=training(held_out=("other",))).datasets == ("low", "other", "high")


@pytest.mark.parametrize(
    "changes", [{"steps": 0}, {"size": 0}, {"mode": "full"}, {"start": training()}]
)
def test_descriptions_that_make_no_sense_are_refused(changes):
    with pytest.raises(ConfigError):
        training(**changes)


def test_epochs_follow_from_the_steps():
    """25 crystals in batches of 10 are 3 steps an epoch: 33 epochs of 3 are 99 steps."""
    config = training().schedule(25)
    assert (config.epochs, config.validate_every) == (33, 1)
    assert training().schedule(10_000).epochs == 1


def test_a_grid_needs_each_training_once_and_starts_first():
    cells = [
        Cell(labels={}, candidates=at_rates(transferred(), (1e-3, 1e-4))),
        Cell(labels={}, candidates=(transferred(seed=1),)),
    ]
    found = needed(cells)
    assert len(found) == 4
    assert found[0] == training()
    assert len(distinct([*cells, *cells])) == 2


class FakeBench:
    """Counts instead of training."""

    def __init__(self, out):
        self.out, self.done, self.sources = out, [], self
        self.fingerprints = PRINTS

    def record(self, wanted):
        return {} if wanted in self.done else None

    def perform(self, wanted, show_progress):
        assert wanted not in self.done, "a finished training was repeated"
        assert wanted.start is None or wanted.start in self.done
        self.done.append(wanted)
        return True

    def row(self, cell):
        if any(t not in self.done for t in cell.candidates):
            return None
        numbers = dict.fromkeys(
            ("n_train", "learning_rate", "valid_mae", "test_mae", "test_rmse", "n_test"), 0.5
        )
        return {"key": cell.key(PRINTS), **cell.labels, **numbers, "seconds": 1.0}

    def expected_size(self, wanted):
        return 1234


CELLS = [Cell(labels={"seed": s}, candidates=(transferred(seed=s),)) for s in range(3)]


def test_a_grid_is_done_once_and_its_table_grows_row_by_row(tmp_path):
    bench = FakeBench(tmp_path)
    first = run_grid("x", CELLS[:2], bench)
    assert len(bench.done) == 3
    again = run_grid("x", CELLS, bench)
    assert len(bench.done) == 4
    assert list(again.rows)[:2] == list(first.rows)
    with open(tmp_path / "x" / "results.csv", newline="") as file:
        assert [row["seed"] for row in csv.DictReader(file)] == ["0", "1", "2"]
    rows = rows_of(CELLS, again, bench)
    assert [row["seed"] for row in rows] == [0, 1, 2]
    assert rows[0]["test_mae"] == 0.5


def test_what_another_experiment_has_trained_is_collected(tmp_path):
    bench = FakeBench(tmp_path)
    run_grid("x", CELLS[:2], bench)
    found = collected("y", CELLS, bench)
    assert [row["seed"] for row in rows_of(CELLS, found, bench)] == [0, 1]
    assert (tmp_path / "y" / "results.csv").is_file()
    assert len(bench.done) == 3


class SharedBench(FakeBench):
    """Another process is at the first training, and has finished it at the next look."""

    def __init__(self, out):
        super().__init__(out)
        self.refused = 0

    def perform(self, wanted, show_progress):
        if wanted == CELLS[0].candidates[0] and not self.refused:
            self.refused += 1
            return False
        if wanted not in self.done:
            super().perform(wanted, show_progress)
        return True


def test_what_another_process_is_at_is_left_to_it_and_looked_at_again(tmp_path):
    bench = SharedBench(tmp_path)
    results = run_grid("x", CELLS, bench, pause=0.0)
    assert bench.refused == 1
    assert [row["seed"] for row in results.rows.values()] == ["1", "2", "0"]


def test_two_tables_of_one_file_keep_each_others_rows(tmp_path):
    one, two = Results(tmp_path / "results.csv"), Results(tmp_path / "results.csv")
    one.add({"key": "a", "mae": 1})
    two.add({"key": "b", "mae": 2})
    assert list(Results(tmp_path / "results.csv").rows) == ["a", "b"]


def test_a_claim_holds_for_its_block_alone(tmp_path):
    with claimed(tmp_path / "x") as first, claimed(tmp_path / "x") as second:
        assert (first, second) == (True, False)
    with claimed(tmp_path / "x", wait=True) as again:
        assert again


def test_rows_of_another_grid_stay_in_the_file_but_are_not_shown(tmp_path):
    bench = FakeBench(tmp_path)
    results = run_grid("x", CELLS, bench)
    assert len(rows_of(CELLS[:1], results, bench)) == 1


def test_the_time_limit_stops_between_trainings_after_at_least_one(tmp_path):
    bench = FakeBench(tmp_path)
    results = run_grid("x", CELLS, bench, minutes=0)
    assert (len(bench.done), len(results.rows)) == (1, 0)
    results = run_grid("x", CELLS, bench, minutes=0)
    assert (len(bench.done), len(results.rows)) == (2, 1)
    assert len(run_grid("x", CELLS, bench).rows) == 3


def test_the_table_is_complete_after_every_row(tmp_path):
    path = tmp_path / "deep" / "results.csv"
    table = Results(path)
    table.add({"key": "a", "mae": 0.25})
    table.add({"key": "b", "way": "full, rescaled"})
    assert list(Results(path).rows.values()) == [
        {"key": "a", "mae": "0.25", "way": ""},
        {"key": "b", "mae": "", "way": "full, rescaled"},
    ]
    assert [p.name for p in path.parent.glob("*.csv*")] == ["results.csv", "results.csv.lock"]


def test_the_pace_is_assumed_at_first_and_measured_then():
    pace = Pace(crystals_per_second=100)
    assert work_of(training()) == 1000
    assert work_of(transferred(mode="head")) == 50
    assert pace.expected(training()) == pytest.approx(10 + OVERHEAD)
    pace.learn(training(), 5.0)
    assert pace.expected(training()) == pytest.approx(5)


def test_a_dry_run_names_every_training_its_size_and_the_time(tmp_path):
    lines = dry_run(CELLS, FakeBench(tmp_path), Pace(crystals_per_second=100))
    rows = [line for line in lines[:-1] if not line.startswith(" ")]
    assert rows == [", ".join(f"{k} {v}" for k, v in cell.labels.items()) for cell in CELLS]
    trainings = [line for line in lines[:-1] if line.startswith(" ")]
    assert len(trainings) == 4
    assert "1  cheap: e-form@low, none, about 1,234 crystals, 100 steps of 10" in trainings[0]
    assert "full from e-form@low (normalizer refit)" in trainings[1]
    assert lines[-1].startswith("3 rows, 4 trainings, 1.3 min at 100 crystals/s")


@pytest.mark.parametrize("scale", list(SCALES))
@pytest.mark.parametrize("name", list(EXPERIMENTS))
def test_every_grid_can_be_laid_out_at_every_scale(name, scale):
    made = SCALES[scale]()
    cells = EXPERIMENTS[name].cells(made)
    assert len({tuple(cell.labels.items()) for cell in cells}) == len(cells)
    for one in needed(cells):
        assert set(one.datasets) <= set(made.sources)
    judged = {t.accurate: t.held_out for t in made.target_sets}
    assert all(accurate in held_out for accurate, held_out in judged.items())


@pytest.mark.parametrize("scale", list(SCALES))
def test_all_ways_of_table_1_get_the_same_crystals_steps_and_rates(scale):
    grid = EXPERIMENTS["table1"].cells(SCALES[scale]())
    groups = {}
    for cell in grid:
        if cell.labels["way"] != "pre-training":
            options = {
                (t.data, t.size, t.steps, t.seed, t.minimum, t.train.learning_rate)
                for t in cell.candidates
            }
            groups.setdefault((cell.labels["targets"], cell.labels["seed"]), []).append(options)
    for options in groups.values():
        assert len(options) == 4
        assert all(o == options[0] for o in options)


def test_the_first_seed_alone_is_a_part_of_every_grid():
    local = SCALES["local"]()
    for name, experiment in EXPERIMENTS.items():
        everything = [cell.labels for cell in experiment.cells(local)]
        first = [cell.labels for cell in experiment.cells(local.with_seeds(1))]
        assert first == [labels for labels in everything if labels["seed"] == 0], name
    with pytest.raises(ConfigError, match="got 0"):
        local.with_seeds(0)


def test_the_command_of_every_docstring_names_an_experiment():
    folder = Path(__file__).resolve().parents[2] / "experiments"
    text = "".join(p.read_text() for p in folder.glob("*.py"))
    for name in EXPERIMENTS:
        assert f"run {name} " in text
