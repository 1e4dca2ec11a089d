"""`train`: train a network on a store."""

import functools
from typing import Any, Literal

import cgatjax as cg
from cgatjax.cli.command_options import command
from cgatjax.cli.config_options import (
    NETWORKS,
    TRAININGS,
    chosen,
    network_options,
    read_tables,
    split_config,
    split_options,
    train_config,
    training_options,
)
from cgatjax.runtime import exit_on_interrupt


@command()
@split_options
@network_options
@training_options
@exit_on_interrupt()
def train(
    store: str,
    *,
    target: tuple[str, ...],
    element_table: str | None = None,
    preset: Literal["small", "released", "paper"] = "small",
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

    Data:
      target NAME: Property to learn, one regression head each; NAME@LABEL reads the column NAME.
    Network:
      element_table PATH: File of element vectors: JSON, CSV or npz.
    Training:
      preset: Options to start from: small fits a laptop, released and paper are published.
    """
    from cgatjax.cli import training_runs as runs
    from cgatjax.model.model import fitted_config
    from cgatjax.runs.run_folder import removed_if_untrained

    flags, size = runs.join_processes(flags), runs.ensemble_size(flags)
    tables = read_tables(flags["config"], model=cg.ModelConfig, train=cg.TrainConfig)
    options = train_config(TRAININGS[preset], tables["train"], flags)
    sizes = {**tables["model"], **chosen(flags, cg.ModelConfig)}
    network = NETWORKS[preset].replace(**sizes)
    vectors = cg.ElementTable.load(element_table) if element_table else None
    data, seed = cg.open_store(store), options.seed
    loggers = runs.logger_factory(flags)
    run, split = runs.open_run(flags, data, target, split_config(flags, seed), {})
    with removed_if_untrained(run):
        fitted, _ = fitted_config(network, data.graph_config, target, vectors)
        sections = {"graph": data.graph_config, "model": fitted, "train": options}
        sets = functools.partial(runs.labeled_sets, data, split, target)
        if runs.report_finished(run, size, options.epochs, sections, sets, plots=flags["plots"]):
            return
        model = cg.init_model(network, data, target=target, seed=seed, element_table=vectors)
        known, valid, test = sets()
        common: dict[str, Any] = {"test": test, "run": run, "show_progress": True}
        if size:
            members = cg.fit_ensemble(
                model, known, valid, options, size=size, loggers=loggers, **common
            )
            runs.report_ensemble(run, *members, valid, plots=flags["plots"])
        else:
            found = cg.fit(model, known, valid, options, loggers=loggers(run), **common)
            runs.report_run(run, *found, plots=flags["plots"])
