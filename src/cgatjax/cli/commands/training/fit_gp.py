"""`fit-gp`: fit a Gaussian process to the embeddings of a run."""

from typing import Any

import click

import cgatjax as cg
from cgatjax.cli.command_options import OTHER, Subset, command
from cgatjax.cli.config_options import chosen, config_options
from cgatjax.runtime import table


@command()
@config_options(cg.GPConfig, OTHER)
def fit_gp(run: str, store: str, *, subset: Subset = "train", **flags: Any) -> None:
    """Fit a Gaussian process to the crystal embeddings of a run.

    The process is fitted to the run's crystals and their values in STORE, predicts every target of
    the run with a standard deviation, and is written to RUN/gaussian_process; it replaces an
    earlier one. For an ensemble it uses the embeddings of the first member. Commands use it only
    with --uncertainty gp. It is exact if that is cheaper (up to some 1,200 crystals with the
    default options), otherwise sparse.

    \b
    cgatjax fit-gp runs/scan scan.store
    cgatjax predict runs/scan candidates/*.cif --uncertainty gp --out predictions.csv

    Options:
      subset: Subset of the run's split to fit to.
    """
    from cgatjax.cli.data_files import chosen_subset, require_own
    from cgatjax.inference.loading import digest_of
    from cgatjax.inference.uncertainty_io import save_processes, save_rescalings
    from cgatjax.training.target_fit import without_known_parts

    require_own(run)
    options = cg.GPConfig(**chosen(flags, cg.GPConfig))
    predictor, data = cg.load_predictor(run), cg.open_store(store)
    crystals, name = chosen_subset(run, data, subset)
    predictor.model.check_units(crystals, store)
    embeddings = cg.embed(predictor, crystals)
    rest = without_known_parts(predictor.model, crystals, "the crystals")
    processes = {
        t: cg.fit_gp(embeddings, rest.target(t), options, show_progress=True)
        for t in predictor.targets
    }
    weights = digest_of(predictor.members)
    # First: a kill in between must not leave the new process with the factor of the old one.
    if "gp" in predictor.rescalings:
        others = {kind: r for kind, r in predictor.rescalings.items() if kind != "gp"}
        save_rescalings(run, others, weights)
        click.echo(
            "the previous Gaussian process's calibration factor was removed; calibrate again",
            err=True,
        )
    save_processes(run, processes, weights)
    rows = [
        (t, predictor.units[t] or "?", gp.n, len(gp.process.mean), gp.noise)
        for t, gp in processes.items()
    ]
    click.echo(f"{run}: fitted to {name} of {store}")
    click.echo(table(("target", "unit", "crystals", "inducing", "noise"), rows))
