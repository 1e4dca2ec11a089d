"""`transfer`: train a network that starts from the parameters of another one."""

import functools
from pathlib import Path
from typing import Any, Literal

import click

import cgatjax as cg
from cgatjax.cli.command_options import command
from cgatjax.cli.config_options import (
    TRAININGS,
    chosen,
    config_options,
    exclude_seen_option,
    read_tables,
    split_config,
    split_options,
    train_config,
    training_options,
)
from cgatjax.options import Options
from cgatjax.runs.run_folder import SPLIT, removed_if_untrained
from cgatjax.runtime import exit_on_interrupt


@command()
@split_options
@exclude_seen_option
@config_options(cg.TransferConfig, "Transfer", without=("target", "train"), required=("mode",))
@training_options
@exit_on_interrupt()
def transfer(
    store: str,
    *,
    target: str,
    from_: str,
    with_: str | None = None,
    preset: Literal["small", "released", "paper"] | None = None,
    **flags: Any,
) -> None:
    """Transfer a pre-trained network to a store.

    Prints the parameters that were loaded, frozen and re-initialized, and the errors before
    training. Patterns match parameter paths such as encoder/node_0/update/damping, as file names
    ("heads/*"). Options come from the flags, otherwise from the tables [train] and [transfer] of
    --config, otherwise from --preset, otherwise from the run --from.

    \b
    cgatjax transfer scan.store --from mp-small --target e-form --mode full --out runs/scan
    cgatjax transfer scan.store --from runs/pbe --target e-form@scan --mode joint \\
        --with pbe.store --out runs/joint

    Data:
      target NAME: Property to learn; NAME@LABEL reads the column NAME.
    Transfer:
      from_ PATH: Run or model folder of the pre-trained network, name of a model or its address.
      with_ PATH: Store of the source run, whose training set is also trained on (--mode joint
        only).
    Training:
      preset: Training options to start from; the network is that of --from. [default: training
        options of the run --from (of small for a bare model), to fine-tune with a fifth of its rate
        and a cosine]
    """
    from cgatjax.cli import training_runs as runs

    flags, size = runs.join_processes(flags), runs.ensemble_size(flags)
    data, models = cg.open_store(store), cg.load_predictor(from_).members
    start = _start(preset, from_, flags["mode"])
    options = _transfer_config(target, start, flags["config"], flags)
    if (options.mode == "joint") != (with_ is not None):
        raise cg.ConfigError("--with STORE belongs to --mode joint, and joint needs it")
    models[0].check_options(data.graph_config, store)
    if len(models) > 1 and not size:
        raise cg.ConfigError(f"{from_} is an ensemble; add --ensemble N, or start from a member")
    about = {"from": from_, **({"with": with_} if with_ else {})}
    kept = _training_set(with_, Path(from_)) if with_ else None
    loggers = runs.logger_factory(flags)
    splitting = split_config(flags, options.train.seed)
    seen_by = functools.partial(cg.Predictor.of(models).seen, by=splitting.exclude_seen or "graph")
    run, split = runs.open_run(flags, data, (target,), splitting, about, seen_by)
    network = chosen(flags, cg.ModelConfig)
    models = tuple(m.replace(config=m.config.replace(**network)) for m in models)
    sections: dict[str, Options] = {"graph": data.graph_config, "transfer": options}
    if not size:
        kept_heads = models[0].targets if options.mode == "joint" else ()
        sections["model"] = models[0].config.replace(targets=(*kept_heads, target))
    split_sets = functools.partial(runs.labeled_sets, data, split, (target,))
    with removed_if_untrained(run):
        epochs = options.train.epochs
        if runs.report_finished(run, size, epochs, sections, split_sets, plots=flags["plots"]):
            return
        sets = split_sets()
        common: dict[str, Any] = {"keep_training": kept, "run": run, "show_progress": True}
        if size:
            predictor = cg.Predictor.of(models)
            members = cg.transfer_ensemble(
                predictor, sets, options, size=size, loggers=loggers, **common
            )
            runs.report_ensemble(run, *members, sets[1], plots=flags["plots"])
        else:
            found = cg.transfer_model(models[0], sets, options, loggers=loggers(run), **common)
            runs.report_run(run, *found, plots=flags["plots"])


def _start(preset: str | None, source: str, mode: str) -> cg.TrainConfig:
    """Training options to start from: of a preset, otherwise of the source run.

    Those of a training are changed to fine-tune what it trained, unless the mode is "none".
    """
    from cgatjax.cli.training_runs import recipe_of
    from cgatjax.pretrained.locations import locate

    if preset is not None:
        return TRAININGS[preset]
    found = recipe_of(locate(source))
    if found is None:
        click.echo(f"{source} records no training options: those of small", err=True)
    recipe, is_ready = found or (TRAININGS["small"], False)
    start = recipe if is_ready or mode == "none" else recipe.for_transfer()
    click.echo(
        f"from {source}, unless given otherwise: learning rate {start.learning_rate:g}, schedule "
        f"{start.schedule}, {start.epochs} epochs, batches of {start.batch_size}, loss "
        f"{start.loss}",
        err=True,
    )
    return start


def _transfer_config(
    target: str, start: cg.TrainConfig, file: str | None, flags: dict[str, Any]
) -> cg.TransferConfig:
    """Options of the transfer: flags over the file over those to start from."""
    tables = read_tables(file, train=cg.TrainConfig, transfer=cg.TransferConfig)
    options = {**tables["transfer"], **chosen(flags, cg.TransferConfig), "target": target}
    from_file = {**options.pop("train", {}), **tables["train"]}
    return cg.TransferConfig(train=train_config(start, from_file, flags)).replace(**options)


def _training_set(store: str, source: Path) -> "cg.Dataset":
    """Training set of the source run, in its store."""
    if not (source / SPLIT).is_file():
        raise cg.InputError(
            f"{source}: joint transfer needs a run folder with {SPLIT}; there is none"
        )
    return cg.open_store(store).apply(cg.Split.load(source / SPLIT))[0]
