"""Runs of `train` and `transfer`: processes, run folder, split, data sets and the final report."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import jax

import cgatjax as cg
from cgatjax.cli.plots import draw_learning
from cgatjax.cli.run_info import read_history, summary
from cgatjax.data.leakage import IsSeen, split_from_options
from cgatjax.data.splits import SUBSETS
from cgatjax.inference.loading import is_ensemble, member_folders
from cgatjax.inference.prediction import errors_by_target
from cgatjax.options import Options, from_dict, load_toml
from cgatjax.runs.loggers import make_logger
from cgatjax.runs.run_folder import CONFIG, DATA, SPLIT, differences, epochs_done
from cgatjax.runtime import remove_leftovers, table
from cgatjax.runtime.devices import Devices, make_deterministic
from cgatjax.runtime.distributed import initialize, is_first_process, several_processes


def join_processes(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Join the other processes of the training, if any, and return the flags with counted
    `devices`.

    Raises:
      ConfigError: an incomplete description of the processes, or too many devices.
      TrainingError: the other processes did not join.
    """
    if flags["deterministic"]:
        make_deterministic()
    initialize(flags["coordinator"], flags["num_processes"], flags["process_id"])
    devices = flags["devices"]
    if devices == "all" or (devices is None and several_processes()):
        devices = jax.device_count()
    if devices is None:
        return dict(flags)
    return {**flags, "devices": Devices.choose(devices).count}


def recipe_of(source: Path) -> tuple[cg.TrainConfig, bool] | None:
    """Read the training options of a run, an ensemble's first member's, without its devices.

    The flag says if they are those of a transfer; a model folder without `config.toml` has none.
    ConfigError if the file is damaged, or of a version with other options.
    """
    folder = member_folders(source)[0]
    if not (folder / CONFIG).is_file():
        return None
    sections = {"model": cg.ModelConfig, "train": cg.TrainConfig, "transfer": cg.TransferConfig}
    try:
        tables = load_toml(folder / CONFIG, {"graph": cg.GraphConfig, **sections})
    except cg.ConfigError as error:
        raise cg.ConfigError(f"{error}; to train with other options, choose a --preset") from error
    is_transfer = "transfer" in tables
    table = tables["transfer"].get("train", {}) if is_transfer else tables.get("train", {})
    recipe, unset = from_dict(cg.TrainConfig, table), cg.TrainConfig()
    own = recipe.replace(devices=unset.devices, device_mapping=unset.device_mapping)
    return own, is_transfer


def ensemble_size(flags: Mapping[str, Any]) -> int | None:
    """Return the number of members that --ensemble requests, None for a single model."""
    size: int | None = flags["ensemble"]
    if size is None and flags["resume"] and is_ensemble(flags["out"]):
        raise cg.ConfigError(f"{flags['out']} is an ensemble; resume it with --ensemble N, too")
    if size is not None and size < 2:
        raise cg.ConfigError(f"--ensemble: expected at least 2 members, got {size}")
    return size


def logger_factory(flags: Mapping[str, Any]) -> Callable[[cg.RunFolder | None], list[cg.Logger]]:
    """Return a function that makes the loggers of a run; only the first process has any.

    Packages are checked at once: nothing has been written yet.
    """
    for name in flags["log"]:
        make_logger(name, flags["out"])
    return lambda run: [] if run is None else [make_logger(n, run.path) for n in flags["log"]]


def open_run(
    flags: Mapping[str, Any],
    store: cg.Store,
    targets: Sequence[str],
    config: cg.SplitConfig,
    about: Mapping[str, Any],
    is_seen: IsSeen | None = None,
) -> tuple[cg.RunFolder | None, cg.Split]:
    """Create a run folder with its split and `data.json`, or open a run to resume it.

    Of several processes only the first has a folder; the others compute the same split. At least
    one of the targets must be known of a crystal; `about` are further entries of `data.json`.

    Raises:
      RunExistsError: the folder exists and is not to be resumed.
      MismatchError: a resumed run was trained on another store.
      ConfigError: a resumed run has another split.
    """
    if not is_first_process():
        return None, split_from_options(store, targets, config, is_seen)
    out, options = flags["out"], config.to_dict()
    if flags["resume"] and (run := cg.RunFolder(out, resume=True)).resuming:
        _check_same_data(run, store, options)
        return run, cg.Split.load(run.path / SPLIT)
    split = split_from_options(store, targets, config, is_seen)
    run = cg.RunFolder(out, resume=flags["resume"])
    split.save(run.path / SPLIT)
    counts = {subset: len(getattr(split, subset)) for subset in SUBSETS}
    described = {"store": str(store.path), "digest": store.digest, "targets": list(targets)}
    run.save_json(DATA, {**described, **about, "counts": counts, "split": options})
    return run, split


def _check_same_data(run: cg.RunFolder, store: cg.Store, options: Mapping[str, Any]) -> None:
    try:
        old = json.loads((run.path / DATA).read_text())
        digest, before = old["digest"], old["split"]
    except (OSError, ValueError, KeyError) as error:
        raise cg.InputError(f"{run.path}: cannot be resumed, its {DATA} is damaged") from error
    if digest != store.digest:
        raise cg.MismatchError(
            f"{run.path}: trained on {old.get('store')} (digest {digest[:12]}), which is not "
            f"{store.path} (digest {store.digest[:12]}); resume with the same store"
        )
    if changes := differences(before, options):
        raise cg.ConfigError(
            f"{run.path}: a resumed run cannot change its split: {'; '.join(map(str, changes))}"
        )


def labeled_sets(
    data: cg.Store, split: cg.Split, targets: Sequence[str]
) -> tuple[cg.Dataset, cg.Dataset, cg.Dataset]:
    """Return the three sets of a split without the crystals that have no value of a target."""
    train, valid, test = data.apply(split)
    known = train.with_targets(*targets), valid.with_targets(*targets)
    unknown = len(train) + len(valid) - sum(map(len, known))
    if unknown:
        click.echo(
            f"{unknown} crystals of the split have no value of {targets}; left out", err=True
        )
    return *known, test.with_targets(*targets)


def report_run(
    run: cg.RunFolder | None, model: cg.Model, history: cg.History, *, plots: bool
) -> None:
    """Print the best validation errors; only the first process does."""
    if run is None:
        return
    click.echo(summary(model, history.rows))
    click.echo(f"{run.path}: model, history.csv, config.toml, split.json")
    if plots:
        draw_learning(run.path, model, [history])


def is_finished(run: cg.RunFolder | None, size: int | None, epochs: int) -> bool:
    """Check whether all epochs of a resumed run, or of all members of an ensemble, are done."""
    if run is None or not run.resuming:
        return False
    if size is None:
        return run.is_finished(epochs)
    folders = member_folders(run.path)
    for folder in folders:
        remove_leftovers(folder)
    return len(folders) == size and all(epochs_done(f) == epochs for f in folders)


def report_finished(
    run: cg.RunFolder | None,
    size: int | None,
    epochs: int,
    sections: Mapping[str, Options],
    sets: Callable[[], tuple[cg.Dataset, cg.Dataset, cg.Dataset]],
    *,
    plots: bool,
) -> bool:
    """Report a resumed run whose epochs are all done; return False if there is something to do.

    The options (`sections`) must be those of the run; `sets` returns the three sets of the split.
    """
    if run is None or not is_finished(run, size, epochs):
        return False
    run.save_config(sections)
    histories = [cg.History(rows=read_history(folder)) for folder in member_folders(run.path)]
    done = f"{len(histories[0].rows)} epochs" if size is None else f"epochs of {size} members"
    click.echo(f"{run.path}: all {done} were done before", err=True)
    if size is None:
        report_run(run, cg.load_model(run.path), histories[0], plots=plots)
    else:
        report_ensemble(run, cg.load_predictor(run.path), histories, sets()[1], plots=plots)
    return True


def report_ensemble(
    run: cg.RunFolder | None,
    found: cg.Predictor,
    histories: Sequence[cg.History],
    valid: cg.Dataset,
    *,
    plots: bool,
) -> None:
    """Print the validation errors of the members and of their mean; only the first process does."""
    if run is None:
        return
    predictors = {str(k): member for k, member in enumerate(found.members)} | {"ensemble": found}
    errors = {name: errors_by_target(predictor, valid) for name, predictor in predictors.items()}
    rows = []
    for target in found.targets:
        for name, of_targets in errors.items():
            own = of_targets[target]
            rows.append((target, found.units[target] or "?", name, own["mae"], own["rmse"]))
    click.echo(table(("target", "unit", "member", "valid MAE", "valid RMSE"), rows))
    seconds = sum(sum(history.seconds.values()) for history in histories)
    members = f"{len(found.members)} members, {seconds:.0f} s"
    click.echo(f"{members}; {run.path}: members/0, members/1, ...")
    if plots:
        draw_learning(run.path, found.model, histories)
