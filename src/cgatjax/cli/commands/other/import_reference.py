"""`import-reference`: read checkpoints and features of the PyTorch code."""

import click

import cgatjax as cg
from cgatjax.cli.command_options import command
from cgatjax.runtime import require_new


@command()
def import_reference(
    file: str, *, out: str, target: str | None = None, unit: str | None = None
) -> None:
    """Import a checkpoint or features of the PyTorch code.

    A checkpoint (.ckpt) becomes a run and needs the extra "torch"; a feature file (.pickle.gz)
    becomes a store. Code in the files is never run.

    \b
    cgatjax import-reference pbe.ckpt --out runs/reference
    cgatjax predict runs/reference candidates/*.cif --out predictions.csv
    cgatjax import-reference features.pickle.gz --out features.store

    Options:
      out PATH: Run or store folder to create.
      target NAME: Property that the model predicts. [default: that of the checkpoint]
      unit: Unit of the property. [default: known by name]
    """
    require_new(out)
    if file.endswith((".pickle", ".pickle.gz")):
        store = cg.reference.store_features(file, out)
        click.echo(f"{out}: {len(store)} crystals, targets {', '.join(sorted(store.units))}")
        return
    model = cg.reference.load_checkpoint(file, target=target, unit=unit)
    run = cg.RunFolder(out)
    run.save_config({"graph": model.graph_config, "model": model.config})
    cg.save_model(run.path / "model", model)
    click.echo(f"{run.path}: {model.n_params} parameters, targets {', '.join(model.targets)}")
