"""`select`, `embed` and `explain`: what to compute next, and what a network sees."""

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from cgatjax.cli.csv_output import chosen_part, or_empty, require_new, write_csv
from cgatjax.cli.shared_options import on_error_option, part_option, uncertainty_option
from cgatjax.data.datasets import Dataset
from cgatjax.data.store import MANIFEST, open_store
from cgatjax.errors import InputError, TargetError
from cgatjax.runtime.atomic_files import write_durably
from cgatjax.structures.crystal import Rejected

if TYPE_CHECKING:
    from cgatjax.active_learning import By, Selection
    from cgatjax.inference.prediction import Predictions
    from cgatjax.inference.predictor import Predictor, Uncertainty

MAP_COLORS = ("error", "target", "prediction", "std")
SHOWN = 5


@click.command()
@click.argument("run", type=click.Path())
@click.argument("candidates", nargs=-1, required=True, metavar="CANDIDATES...")
@click.option("--count", type=int, required=True, help="Crystals to choose.")
@click.option(
    "--by",
    type=click.Choice(["uncertainty", "diversity", "both"]),
    default="both",
    show_default=True,
    help="The largest standard deviations; far from all known crystals in embedding space; or "
    "the largest product of the two.",
)
@click.option(
    "--known",
    multiple=True,
    type=click.Path(),
    help="Store of crystals whose values are known: covered already, never chosen. Repeat.",
)
@click.option("--target", metavar="NAME", help="Property, where the run predicts several.")
@click.option("--out", required=True, type=click.Path(), help="CSV file to write.")
@on_error_option()
@uncertainty_option
def select(
    run: str,
    candidates: tuple[str, ...],
    count: int,
    by: "By",
    known: tuple[str, ...],
    target: str | None,
    out: str,
    on_error: str,
    uncertainty: "Uncertainty | None",
) -> None:
    """Choose the crystals to compute next.

    CANDIDATES is a store, or whatever `featurize` reads. The CSV has the chosen ones in the order
    of choice. Candidates that are known or repeat another one, by id or by the hash of their graph,
    are never chosen; they are listed with the reason in FILE.excluded.csv.

    \b
    cgatjax select runs/scan candidates.store --count 100 --known scan.store --out next.csv
    """
    from cgatjax.active_learning import Excluded
    from cgatjax.active_learning import select as select_crystals
    from cgatjax.inference.loading import load_predictor

    path = Path(out)
    excluded_path = path.with_suffix(".excluded.csv")
    require_new(path, excluded_path)
    predictor = load_predictor(run, uncertainty)
    pool, skipped = _candidates(predictor, candidates, on_error)
    sets = [open_store(store) for store in known]
    found = select_crystals(
        predictor, pool, count, by=by, known=sets, target=target, show_progress=True
    )
    excluded = [*found.excluded, *(Excluded(r.id, r.reason) for r in skipped)]
    notes = [
        f"cgatjax model: {run}",
        f"chosen by {by} from {len(pool)} candidates; known: {', '.join(known) or 'none'}",
        f"std of {found.target} ({found.unit or '?'}): {found.std_note}",
    ]
    formulas = pool.select(found.positions).formulas
    write_csv(path, _SELECTED, _selected(found, formulas), notes)
    click.echo(f"{path}: {len(found)} of {len(pool)} candidates, by {by}")
    for rank, name in enumerate(found.ids[:SHOWN], 1):
        click.echo(f"  {rank}. {name}")
    if excluded:
        write_csv(excluded_path, ("id", "reason"), excluded, [])
        click.echo(f"{len(excluded)} candidates excluded: {excluded_path}")


@click.command()
@click.argument("run", type=click.Path())
@click.argument("store", type=click.Path())
@click.option("--out", required=True, type=click.Path(), help="Parquet file to write.")
@part_option("all")
@click.option("--map", "picture", type=click.Path(), help="2-D map of the data, PNG, PDF or SVG.")
@click.option(
    "--method",
    type=click.Choice(["pca", "tsne", "umap"]),
    default="pca",
    show_default=True,
    help='Of the map; tsne needs the extra "sklearn", umap the extra "umap".',
)
@click.option(
    "--color",
    type=click.Choice(list(MAP_COLORS)),
    default="error",
    show_default=True,
    help="What the map is colored by.",
)
@click.option("--target", metavar="NAME", help="Of the colors, where the run predicts several.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of tsne and umap.")
@uncertainty_option
def embed(
    run: str,
    store: str,
    out: str,
    part: str,
    picture: str | None,
    method: str,
    color: str,
    target: str | None,
    seed: int,
    uncertainty: "Uncertainty | None",
) -> None:
    """Write the embeddings of crystals, with values and predictions, to a Parquet file.

    Columns: id, formula, for each target NAME, NAME:prediction and NAME:std in the target's unit,
    and embedding, a list of fixed length. Of an ensemble they are the first member's.

    \b
    cgatjax embed runs/scan scan.store --out embeddings.parquet --map map.png
    """
    from cgatjax.inference.embedding_table import write_embeddings
    from cgatjax.inference.loading import load_predictor
    from cgatjax.inference.prediction import embed as embed_crystals
    from cgatjax.inference.prediction import predict

    require_new(out, picture)
    predictor, data = load_predictor(run, uncertainty), open_store(store)
    crystals, name = chosen_part(Path(run), data, part)
    values = {t: _values(crystals, t) for t in predictor.targets}
    found = predict(predictor, crystals, show_progress=True)
    points = embed_crystals(predictor, crystals)
    numbers: dict[str, np.ndarray] = {}
    for t in predictor.targets:
        numbers |= {t: values[t], f"{t}:prediction": found.means[t], f"{t}:std": found.stds[t]}
    about = {"model": run, "store": store, "part": name}
    about |= {f"unit of {t}": found.units[t] for t in predictor.targets}
    about |= {f"std of {t}": found.std_notes[t] for t in predictor.targets}
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    texts = {"id": crystals.ids, "formula": crystals.formulas}
    write_embeddings(Path(out), texts, numbers, points, about)
    click.echo(f"{out}: {len(crystals)} crystals ({name}), {points.shape[1]} numbers each")
    if picture:
        target = _one_of(predictor.targets, target)
        _draw_map(Path(picture), points, (method, seed), color, (found, values[target], target))


@click.command()
@click.argument("run", type=click.Path())
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option("--out", required=True, type=click.Path(), help="Folder to create.")
@click.option("--step", type=int, help="Message-passing step of the pictures, from 1.  [last]")
def explain(run: str, inputs: tuple[str, ...], out: str, step: int | None) -> None:
    """Show what the network attends to in crystals: a JSON file and a picture for each.

    INPUT is whatever `featurize` reads. ID.json holds the prediction, the embedding, for each site
    its weight in the pooling and for each bond its attention, per step and head; ID.png is a
    picture of them.

    \b
    cgatjax explain runs/scan SrTiO3.cif --out looks
    """
    from cgatjax.inference.interpretation import explain as explain_crystal
    from cgatjax.inference.loading import load_predictor
    from cgatjax.plotting.attention_plot import attention_figure
    from cgatjax.structures.readers import read_crystals

    folder = Path(out)
    require_new(folder)
    predictor = load_predictor(run)
    steps = predictor.model.config.steps
    if step is not None and not 1 <= step <= steps:
        raise InputError(f"--step: expected 1..{steps}, got {step}")
    taken: set[str] = set()
    for crystal in read_crystals(list(inputs)):
        if isinstance(crystal, Rejected):
            raise crystal.error()
        found = explain_crystal(predictor, crystal)
        stem = _file_name(crystal.id, taken)
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"model": run, **found.to_dict()}, indent=1, allow_nan=False)
        write_durably(folder / f"{stem}.json", text.encode())
        figure = attention_figure(found, step=steps if step is None else step)
        figure.savefig(folder / f"{stem}.png")
        click.echo(f"{folder / stem}.json, .png: {found.formula}, {len(found.elements)} sites")
    if not taken:
        raise InputError(f"expected crystals in {list(inputs)}, found none")


_SELECTED = ("rank", "id", "formula", "property", "prediction", "std", "unit", "distance")


def _selected(found: "Selection", formulas: Sequence[str]) -> Iterable[tuple[Any, ...]]:
    for k, (name, formula) in enumerate(zip(found.ids, formulas, strict=True)):
        numbers = [or_empty(v[k]) for v in (found.means, found.stds, found.distances)]
        yield (k + 1, name, formula, found.target, *numbers[:2], found.unit, numbers[2])


def _candidates(
    predictor: "Predictor", inputs: tuple[str, ...], on_error: str
) -> tuple[Dataset, list[Rejected]]:
    """A store's crystals, or those of files as graphs in memory."""
    from cgatjax.inference.prediction import graphs_of

    if len(inputs) == 1 and (Path(inputs[0]) / MANIFEST).is_file():
        return open_store(inputs[0]).all(), []
    return graphs_of(predictor, list(inputs), on_error=on_error)  # type: ignore[arg-type]


def _values(crystals: Dataset, target: str) -> np.ndarray:
    """Known values of a target, NaN for all where the store has none."""
    try:
        return crystals.target(target)
    except TargetError:
        return np.full(len(crystals), np.nan)


def _one_of(names: tuple[str, ...], target: str | None) -> str:
    if target is None and len(names) == 1:
        return names[0]
    if target is None or target not in names:
        raise InputError(f"--target: expected one of {list(names)}, got {target!r}")
    return target


def _draw_map(
    path: Path,
    points: np.ndarray,
    way: tuple[str, int],
    color: str,
    about: tuple["Predictions", np.ndarray, str],
) -> None:
    """The map, colored by an error, a value, a prediction or a standard deviation."""
    from cgatjax.plotting.embedding_map import embedding_map, project

    found, values, target = about
    method, seed = way
    columns = {
        "error": (np.abs(found.means[target] - values), f"|error| of {target}"),
        "target": (values, target),
        "prediction": (found.means[target], f"prediction of {target}"),
        "std": (found.stds[target], f"std of {target}"),
    }
    numbers, label = columns[color]
    if not np.isfinite(numbers).any():
        raise InputError(
            f"--color {color}: no crystal has a number for {target!r} "
            f"({found.std_notes[target] if color == 'std' else 'no known values'})"
        )
    unit = found.units[target]
    place = project(points, method, seed=seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    embedding_map(place, numbers, label=label, unit=unit, log=color == "error").savefig(path)
    click.echo(f"map ({place.text}): {path}")


def _file_name(name: str, taken: set[str]) -> str:
    """A name of a file from any id, different from those before."""
    stem = re.sub(r"[^\w.+-]+", "_", name).strip("._")[:100] or "crystal"
    found = next(
        s for k in range(len(taken) + 1) if (s := f"{stem}-{k}" if k else stem) not in taken
    )
    taken.add(found)
    return found
