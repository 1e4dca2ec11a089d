"""`train`: train a network on a store."""

from typing import Any

import click

from cgatjax import ModelConfig, TrainConfig
from cgatjax.cli.command_options import command, option, preset_option
from cgatjax.cli.config_options import chosen
from cgatjax.cli.training_options import (
    NETWORKS,
    TRAININGS,
    network_options,
    read_tables,
    split_config,
    split_options,
    train_config,
    training_options,
)
from cgatjax.runtime.signals import exit_on_interrupt


@command()
@click.argument("store", type=click.Path())
@option(
    "--target",
    "targets",
    multiple=True,
    required=True,
    metavar="NAME",
    group="Data",
    help="Property to learn, one regression head each; NAME@LABEL reads the column NAME. "
    "Repeatable.",
)
@split_options
@option(
    "--element-table",
    type=click.Path(),
    group="Network",
    help="File of element vectors: JSON, CSV or npz.",
)
@network_options
@preset_option("Options to start from: small fits a laptop, released and paper are published.")
@training_options
@exit_on_interrupt()
def train(
    store: str,
    targets: tuple[str, ...],
    preset: str,
    element_table: str | None,
    config: str | None,
    **flags: Any,
) -> None:
    """Train a network on a store.

    The run folder has config.toml, split.json, data.json, history.csv, the best model by validation
    (model/) and the last training checkpoints (checkpoints/). Errors are in the unit of the target.
    The test set is not used. Options come from the flags, otherwise from the tables [model] and
    [train] of --config, otherwise from --preset.

    Ctrl-C and SIGTERM save a checkpoint and end the run with exit code 130 and 143; a second Ctrl-C
    ends it at once. --resume continues from the last checkpoint, also after a kill, to the same
    result.

    \b
    cgatjax train pbe.store --target e-form --out runs/pbe --epochs 60 --exclude runs/scan
    cgatjax train pbe.store --target e-form --target volume --loss robust_l1 --out runs/both
    cgatjax train pbe.store --target e-form --loss robust_l1 --ensemble 4 --out runs/four
    """
    from cgatjax import ElementTable, fit, fit_ensemble, init_model, open_store
    from cgatjax.cli import training_runs as runs
    from cgatjax.model.model import fitted_config
    from cgatjax.runs.run_folder import removed_if_untrained

    flags, size = runs.join_processes(flags), runs.ensemble_size(flags)
    tables = read_tables(config, model=ModelConfig, train=TrainConfig)
    options = train_config(TRAININGS[preset], tables["train"], flags)
    sizes = {**tables["model"], **chosen(flags, ModelConfig)}
    network = NETWORKS[preset].replace(**sizes)
    vectors = ElementTable.load(element_table) if element_table else None
    data, seed = open_store(store), options.seed
    loggers = runs.logger_factory(flags)
    run, split = runs.open_run(flags, data, targets, split_config(flags, seed), {})
    if run is not None and runs.is_finished(run, size, options.epochs):
        fitted, _ = fitted_config(network, data.graph_config, targets, vectors)
        run.save_config({"graph": data.graph_config, "model": fitted, "train": options})
        if size:
            valid = runs.labeled_sets(data, split, targets)[1]
            runs.report_finished_ensemble(run, valid, plots=flags["plots"])
        else:
            runs.report_finished(run, plots=flags["plots"])
        return
    with removed_if_untrained(run):
        model = init_model(network, data, target=targets, seed=seed, element_table=vectors)
        known, valid, test = runs.labeled_sets(data, split, targets)
        common: dict[str, Any] = {"test": test, "run": run, "show_progress": True}
        if size:
            members = fit_ensemble(
                model, known, valid, options, size=size, loggers=loggers, **common
            )
            runs.report_ensemble(run, *members, valid, plots=flags["plots"])
        else:
            found = fit(model, known, valid, options, loggers=loggers(run), **common)
            runs.report_run(run, *found, plots=flags["plots"])
