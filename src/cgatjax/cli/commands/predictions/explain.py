"""`explain`: write and draw the attention of a network in crystals."""

import json
import re
from pathlib import Path

import click

import cgatjax as cg
from cgatjax.cli.command_options import command
from cgatjax.runtime import require_new


@command()
def explain(run: str, inputs: tuple[str, ...], *, out: str, step: int | None = None) -> None:
    """Write and draw attention weights of crystals.

    INPUT: as for `featurize`. For each crystal, ID.json has the prediction, the embedding, the
    pooling weight of each site and the attention of each bond, per step and head; ID.png draws
    them.

    \b
    cgatjax explain runs/scan SrTiO3.cif --out attention

    Options:
      out PATH: Folder to create.
      step: Message-passing step that the figures show, from 1. [default: the last one]
    """
    from cgatjax.plotting.attention_plot import attention_figure
    from cgatjax.plotting.style import save_figure
    from cgatjax.runtime import write_durably

    folder = Path(out)
    require_new(folder)
    predictor = cg.load_predictor(run)
    steps = predictor.model.config.steps
    if step is not None and not 1 <= step <= steps:
        raise cg.InputError(f"--step: expected 1..{steps}, got {step}")
    taken: set[str] = set()
    for crystal in cg.read_crystals(list(inputs)):
        if isinstance(crystal, cg.Rejected):
            raise crystal.error()
        found = cg.explain(predictor, crystal)
        stem = _file_name(crystal.id, taken)
        text = json.dumps({"model": run, **found.to_dict()}, indent=1, allow_nan=False)
        write_durably(folder / f"{stem}.json", text.encode())
        figure = attention_figure(found, step=steps if step is None else step)
        save_figure(figure, folder / f"{stem}.png")
        click.echo(f"{folder / stem}.json, .png: {found.formula}, {len(found.elements)} sites")
    if not taken:
        raise cg.InputError(f"expected crystals in {list(inputs)}, found none")


def _file_name(name: str, taken: set[str]) -> str:
    """File name of an id, different from those taken before."""
    stem = re.sub(r"[^\w.+-]+", "_", name).strip("._")[:100] or "crystal"
    names = (f"{stem}-{k}" if k else stem for k in range(len(taken) + 1))
    found = next(name for name in names if name not in taken)
    taken.add(found)
    return found
