"""`embed`: write crystal embeddings, and draw a map of them."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

import cgatjax as cg
from cgatjax.cli.command_options import Kind, Subset, command
from cgatjax.runtime import require_new

if TYPE_CHECKING:
    import numpy as np


@command()
def embed(
    run: str,
    store: str,
    *,
    out: str,
    subset: Subset = "all",
    map_: str | None = None,
    method: Literal["pca", "tsne", "umap"] = "pca",
    color: Literal["error", "target", "prediction", "std"] = "error",
    target: str | None = None,
    seed: int = 0,
    uncertainty: Kind | None = None,
) -> None:
    """Write crystal embeddings, values and predictions to a Parquet file.

    Columns: id, formula, for each target NAME, NAME:prediction and NAME:std in the unit of the
    target, and embedding, a list of fixed length. The embeddings of an ensemble are those of its
    first member.

    \b
    cgatjax embed runs/scan scan.store --out embeddings.parquet --map map.png

    Options:
      out PATH: Parquet file to write.
      subset: Subset of the run's split to embed.
      map_ PATH: 2-D map of the data, PNG, PDF or SVG.
      method: Projection of the map; umap needs the extra umap.
      color: Quantity that colors the map.
      target NAME: Property of the colors, if the run predicts several.
      seed: Random seed of t-SNE and UMAP.
      uncertainty
    """
    import numpy as np

    from cgatjax.cli.data_files import chosen_subset
    from cgatjax.data.arguments import one_target
    from cgatjax.inference.embedding_table import write_embeddings
    from cgatjax.plotting.embedding_map import embedding_map, project
    from cgatjax.plotting.style import save_figure
    from cgatjax.structures import readable_formula

    require_new(out, map_)
    predictor, data = cg.load_predictor(run, uncertainty), cg.open_store(store)
    crystals, name = chosen_subset(run, data, subset)
    values = {t: _values(crystals, t) for t in predictor.targets}
    if map_:
        target = one_target(predictor.targets, target)
        if color in ("error", "target") and not np.isfinite(values[target]).any():
            raise cg.InputError(f"--color {color}: no crystal has a known value of {target!r}")
    found = cg.predict(predictor, crystals, show_progress=True)
    embeddings = cg.embed(predictor, crystals)
    numbers: dict[str, np.ndarray] = {}
    for t in predictor.targets:
        numbers |= {t: values[t], f"{t}:prediction": found.means[t], f"{t}:std": found.stds[t]}
    about = {"model": run, "store": store, "subset": name}
    about |= {f"unit of {t}": found.units[t] for t in predictor.targets}
    about |= {f"std of {t}": found.std_notes[t] for t in predictor.targets}
    texts = {"id": crystals.ids, "formula": list(map(readable_formula, crystals.formulas))}
    write_embeddings(Path(out), texts, numbers, embeddings, about)
    click.echo(f"{out}: {len(crystals)} crystals ({name}), {embeddings.shape[1]} numbers each")
    if map_ and target:
        shown, label = _colors(color, target, found, values[target])
        place = project(embeddings, method, seed=seed)
        style = {"label": label, "unit": found.units[target], "title": f"{run}, {name}"}
        save_figure(embedding_map(place, shown, log=color == "error", **style), map_)
        click.echo(f"map ({place.text}): {map_}")


def _values(crystals: "cg.Dataset", target: str) -> "np.ndarray":
    """Known values of a target, NaN for all crystals if the store does not have it."""
    import numpy as np

    try:
        return crystals.target(target)
    except cg.TargetError:
        return np.full(len(crystals), np.nan)


def _colors(
    color: str, target: str, found: "cg.Predictions", values: "np.ndarray"
) -> "tuple[np.ndarray, str]":
    """Numbers that color the map, and their label."""
    import numpy as np

    mean, std = found.means[target], found.stds[target]
    numbers, label = {
        "error": (np.abs(mean - values), f"|error| of {target}"),
        "target": (values, target),
        "prediction": (mean, f"prediction of {target}"),
        "std": (std, f"std of {target}"),
    }[color]
    if not np.isfinite(numbers).any():
        raise cg.InputError(
            f"--color {color}: no crystal has a number for {target!r} "
            f"({found.std_notes[target] if color == 'std' else 'no known values'})"
        )
    return numbers, label
