"""`train` and `transfer`: from a store to a run folder with a trained model."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cgatjax.cli.ensemble import checked_size, report_ensemble
from cgatjax.cli.plots import draw_learning
from cgatjax.cli.train_options import compute_of, joined, open_run, recipe_options, train_config
from cgatjax.config import PRESETS, GraphConfig, ModelConfig, TrainConfig, TransferConfig
from cgatjax.data.datasets import Dataset
from cgatjax.data.splits import Split
from cgatjax.data.store import Store, open_store
from cgatjax.errors import ConfigError, InputError
from cgatjax.options import load_toml
from cgatjax.runs.loggers import Logger, make_logger
from cgatjax.runs.run_folder import REPORT, SPLIT, RunFolder
from cgatjax.runtime.signals import ended_by_interrupt

if TYPE_CHECKING:
    from cgatjax.models.model import Model
    from cgatjax.training.history import History


@click.command()
@click.argument("store", type=click.Path())
@click.option(
    "--target",
    "targets",
    multiple=True,
    required=True,
    metavar="NAME",
    help="Property to learn, a head each; NAME@LABEL reads the column NAME. Repeat.",
)
@click.option("--out", required=True, type=click.Path(), help="Run folder to create.")
@click.option(
    "--preset",
    type=click.Choice(list(PRESETS)),
    default="small",
    show_default=True,
    help="small trains on a laptop; released and paper are the published networks.",
)
@click.option("--element-table", type=click.Path(), help="Element vectors: JSON, CSV or npz.")
@recipe_options
@ended_by_interrupt()
def train(
    store: str,
    targets: tuple[str, ...],
    out: str,
    preset: str,
    element_table: str | None,
    config: str | None,
    **flags: Any,
) -> None:
    """Train a network on a store.

    The run folder holds config.toml, split.json, data.json, history.csv, the best model by
    validation (model/) and the last state. Errors are in the target's unit. The test part is not
    touched. A configuration file has the tables [model] and [train].

    Ctrl-C or SIGTERM saves the state and ends with exit code 130 or 143; a second Ctrl-C ends at
    once. --resume goes on from the last state, after a kill too, to the same result.

    Without options, small is 60 epochs of batches of 64 at a peak rate of 1e-3; released and paper
    are 390 epochs of batches of 512 at 1.25e-4, the rate in triangles of 130 epochs.

    \b
    cgatjax train pbe.store --target e-form --out runs/pbe --epochs 60 --exclude runs/scan
    cgatjax train pbe.store --target e-form --target volume --loss robust_l1 --out runs/both
    cgatjax train pbe.store --target e-form --loss robust_l1 --ensemble 4 --out runs/four
    """
    from cgatjax.models.model import init_model
    from cgatjax.structures.elements import ElementTable
    from cgatjax.training.ensembles import fit_ensemble
    from cgatjax.training.loop import fit

    flags, size = joined(flags), checked_size(out, flags)
    make_model_config, make_train_config = PRESETS[preset]
    tables = _tables(config, {"model": ModelConfig, "train": TrainConfig})
    options = train_config(make_train_config(), tables["train"], flags)
    network = make_model_config().replace(**{**tables["model"], **compute_of(flags["precision"])})
    vectors = ElementTable.load(element_table) if element_table else None
    data = open_store(store)
    loggers = _loggers(flags["loggers"], out)
    run, split = open_run(out, data, targets, {**flags, "seed": options.seed}, {})
    model = init_model(network, data, target=targets, seed=options.seed, element_table=vectors)
    sets = _parts(data, split, targets)
    common: dict[str, Any] = {"run": run, "show_progress": True}
    if size:
        common |= {"size": size, "loggers": loggers, "side_by_side": flags["side_by_side"]}
        members = fit_ensemble(model, *sets, options, **common)
        report_ensemble(run, *members, sets[1], plots=flags["plots"])
        return
    found = fit(model, *sets, options, loggers=loggers(run), **common)
    _report(run, *found, plots=flags["plots"])


@click.command()
@click.argument("store", type=click.Path())
@click.option("--from", "source", required=True, type=click.Path(), help="Run or model folder.")
@click.option(
    "--target", required=True, metavar="NAME", help="Property to learn; NAME or NAME@LABEL."
)
@click.option(
    "--mode",
    required=True,
    type=click.Choice(["full", "head", "none", "joint"]),
    help="Train everything, only the head, from scratch, or with the old data along.",
)
@click.option("--out", required=True, type=click.Path(), help="Run folder to create.")
@click.option(
    "--preset",
    type=click.Choice(list(PRESETS)),
    default="small",
    show_default=True,
    help="Of the training; the network is that of --from.",
)
@click.option(
    "--normalizer",
    type=click.Choice(["refit", "keep"]),
    help="Mean and std of the new training set, or the old ones.  [default: refit]",
)
@click.option(
    "--reinit", multiple=True, metavar="PATTERN", help="Parameters to start anew. Repeat."
)
@click.option(
    "--lr-group",
    "lr_groups",
    multiple=True,
    metavar="PATTERN=FACTOR",
    help="Factor on the learning rate of some parameters. Repeat.",
)
@click.option(
    "--unfreeze",
    multiple=True,
    metavar="EPOCH:PATTERN",
    help="Parameters that stand still before an epoch. Repeat.",
)
@click.option(
    "--with",
    "low",
    type=click.Path(),
    help="For joint: the store of --from, whose training part goes on being learned.",
)
@recipe_options
@ended_by_interrupt()
def transfer(
    store: str,
    source: str,
    target: str,
    mode: str,
    out: str,
    preset: str,
    low: str | None,
    config: str | None,
    **flags: Any,
) -> None:
    """Carry a trained model over to a store, and train it there.

    Shows what was loaded, frozen and new, and the errors before training. Patterns are like those
    of file names, over paths such as encoder/node_0/update/damping ("heads/*"). A configuration
    file has the tables [train] and [transfer].

    \b
    cgatjax transfer scan.store --from runs/pbe --target e-form --mode full --out runs/scan
    cgatjax transfer scan.store --from runs/pbe --target e-form@scan --mode joint \\
        --with pbe.store --out runs/joint
    """
    from cgatjax.inference.loading import load_predictor
    from cgatjax.inference.predictor import Predictor
    from cgatjax.training.ensembles import transfer_ensemble
    from cgatjax.training.loop import transfer_model

    flags, size = joined(flags), checked_size(out, flags)
    options = _transfer_config(target, mode, PRESETS[preset][1](), config, flags)
    if (mode == "joint") != (low is not None):
        raise ConfigError("--with STORE belongs to --mode joint, and joint needs it")
    data, models = open_store(store), load_predictor(source).members
    models[0].check_options(data.graph_config, store)
    if len(models) > 1 and not size:
        raise ConfigError(f"{source} is an ensemble; add --ensemble N, or start from a member")
    about = {"from": source, **({"with": low} if low else {})}
    kept = _kept_training(low, Path(source)) if low else None
    seed = options.train.seed
    loggers = _loggers(flags["loggers"], out)
    run, split = open_run(out, data, (target,), {**flags, "seed": seed}, about)
    compute = compute_of(flags["precision"])
    models = tuple(m.replace(config=m.config.replace(**compute)) for m in models)
    sets = _parts(data, split, (target,))
    common: dict[str, Any] = {"keep_training": kept, "run": run, "show_progress": True}
    if size:
        common |= {"size": size, "loggers": loggers, "side_by_side": flags["side_by_side"]}
        members = transfer_ensemble(Predictor.of(models), sets, options, **common)
        report_ensemble(run, *members, sets[1], plots=flags["plots"])
        return
    found = transfer_model(models[0], sets, options, loggers=loggers(run), **common)
    _report(run, *found, plots=flags["plots"])


def _loggers(names: Sequence[str], out: str) -> Callable[[RunFolder | None], list[Logger]]:
    """What makes the loggers of a run; of several processes only the first has any.

    Raises:
      MissingExtraError: a package is not installed; nothing has been written yet.
    """
    for name in names:
        make_logger(name, out)
    return lambda run: [] if run is None else [make_logger(name, run.path) for name in names]


def _tables(file: str | None, sections: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Tables of a configuration file, empty ones where there are none."""
    found = load_toml(file, {"graph": GraphConfig, **sections}) if file else {}
    if "graph" in found:
        raise ConfigError(f"{file}: [graph] belongs to `cgatjax featurize --config`")
    return {name: found.get(name, {}) for name in sections}


def _transfer_config(
    target: str, mode: str, start: TrainConfig, file: str | None, flags: dict[str, Any]
) -> TransferConfig:
    """Options of a transfer: flags over the file over the preset."""
    tables = _tables(file, {"train": TrainConfig, "transfer": TransferConfig})
    given = {
        "normalizer": flags["normalizer"],
        "reinit": flags["reinit"],
        "lr_groups": [_pair(text, "=", "--lr-group") for text in flags["lr_groups"]],
        "unfreeze": [_pair(text, ":", "--unfreeze")[::-1] for text in flags["unfreeze"]],
    }
    options = {**tables["transfer"], **{k: v for k, v in given.items() if v}}
    from_file = {**options.pop("train", {}), **tables["train"]}
    options |= {"target": target, "mode": mode}
    return TransferConfig(train=train_config(start, from_file, flags)).replace(**options)


def _pair(text: str, sign: str, name: str) -> tuple[Any, Any]:
    """(pattern, number) of "PATTERN=0.1" or "10:PATTERN"."""
    first, _, last = text.rpartition(sign) if sign == "=" else text.partition(sign)
    pattern, value = (first, last) if sign == "=" else (last, first)
    try:
        number = float(value) if sign == "=" else int(value)
    except ValueError as error:
        form = "PATTERN=FACTOR" if sign == "=" else "EPOCH:PATTERN"
        raise ConfigError(f"{name}: expected {form}, got {text!r}") from error
    return pattern, number


def _kept_training(low: str, source: Path) -> Dataset:
    """The training part of the run to start from, in its store."""
    if not (source / SPLIT).is_file():
        raise InputError(f"{source}: joint transfer needs a run folder with {SPLIT}; there is none")
    return open_store(low).apply(Split.load(source / SPLIT))[0]


def _parts(data: Store, split: Split, targets: Sequence[str]) -> tuple[Dataset, Dataset]:
    """Training and validation set; crystals without any value of the targets are left out."""
    train, valid, _ = data.apply(split)
    known = train.with_targets(*targets), valid.with_targets(*targets)
    unknown = len(train) + len(valid) - sum(len(part) for part in known)
    if unknown:
        click.echo(
            f"{unknown} crystals of the split have no value of {targets}; left out", err=True
        )
    return known


def _report(run: RunFolder | None, model: "Model", history: "History", *, plots: bool) -> None:
    """What came out, by validation; the test part is for `evaluate`. One process speaks for all."""
    if run is None:
        return
    from cgatjax.cli.run_info import report_text, summary

    if history.report is not None and (run.path / REPORT).is_file():
        click.echo(report_text(history.report.__dict__))
    click.echo(summary(model, history.rows))
    click.echo(f"{run.path}: model, history.csv, config.toml, split.json")
    if plots:
        draw_learning(run.path, model, [history.rows])
