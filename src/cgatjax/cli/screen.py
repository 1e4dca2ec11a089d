"""`screen`: predictions for very many decorations of prototypes, or for a stream of structures."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cgatjax.cli.shared_options import on_error_option, uncertainty_option
from cgatjax.cli.text_tables import fields, table
from cgatjax.data.store import MANIFEST, open_store
from cgatjax.errors import ConfigError, InputError

if TYPE_CHECKING:
    from cgatjax.inference.predictor import Uncertainty

SHOWN = 10
"""Best rows that are printed."""
DEFAULT_BEST = 1000


@click.command()
@click.argument("run", type=click.Path())
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option("--out", required=True, type=click.Path(), help="Folder to create.")
@click.option(
    "--elements",
    multiple=True,
    metavar="CLASS=LIST",
    help="Elements for a class of sites, such as Sr=Ca,Sr,Ba; the class is an element of the "
    "prototype, its number from 1, or * for all others; LIST may be all. Repeat. Without it, INPUT "
    "are not prototypes but the structures themselves.",
)
@click.option(
    "--classes",
    type=click.Choice(["element", "orbit"]),
    default="element",
    show_default=True,
    help="Sites that get one element: those of an element, or only those equal by symmetry.",
)
@click.option("--target", help="Property to rank by, if the model has several.")
@click.option("--best", type=int, help="Keep so many.  [default: 1000 without another choice]")
@click.option("--below", type=float, help="Keep predictions below this, in the target's unit.")
@click.option("--above", type=float, help="Keep predictions above this.")
@click.option("--all", "everything", is_flag=True, help="Keep every prediction.")
@click.option("--highest", is_flag=True, help="The highest are the best, not the lowest.")
@click.option("--neutral", is_flag=True, help="Only if oxidation states can add up to zero.")
@click.option(
    "--electronegativity",
    is_flag=True,
    help="Only if, besides, every cation is less electronegative than every anion.",
)
@click.option(
    "--oxidation-states",
    type=click.Choice(["icsd", "common"]),
    default="icsd",
    show_default=True,
    help="States that occur in the ICSD, or the most common ones.",
)
@click.option("--allowed", metavar="LIST", help="Only these elements.")
@click.option("--forbidden", metavar="LIST", help="None of these elements.")
@click.option("--distinct", is_flag=True, help="Another element on each class of sites.")
@click.option("--min-elements", type=int, default=1, show_default=True, help="Fewest elements.")
@click.option(
    "--function",
    metavar="MODULE:NAME",
    default="",
    help="Your own test, called with symbols and amounts of the classes; True keeps.",
)
@click.option("--resume", is_flag=True, help="Go on after a kill, or begin.")
@click.option("--batch-size", type=int, help="Candidates in a batch.  [default: by sizes, device]")
@click.option("--chunk-rows", type=int, help="Candidates per chunk on disk.  [default: 16384]")
@on_error_option("Stop at a bad structure, or list it and go on; prototypes must be good.")
@uncertainty_option
def screen(
    run: str,
    inputs: tuple[str, ...],
    out: str,
    elements: tuple[str, ...],
    classes: str,
    target: str | None,
    resume: bool,
    batch_size: int | None,
    chunk_rows: int | None,
    on_error: str,
    uncertainty: "Uncertainty | None",
    **options: Any,
) -> None:
    """Screen decorations of prototypes, or a stream of structures, and keep the best.

    Every class of sites of each prototype gets every element of its list, unless a filter refuses
    the composition. OUT/results holds sorted Parquet files with id, prototype, formula, elements of
    the classes, mean, std, unit, and how the standard deviation was made; OUT/report.json counts
    what was left out, by reason. INPUT is whatever `featurize` reads, or a store.

    \b
    cgatjax screen runs/scan SrTiO3.cif --elements Sr=all --elements Ti=all --elements O=O,S,F \\
        --electronegativity --best 1000 --out hits
    cgatjax screen runs/scan prototypes/ --elements '*=all' --neutral --below 0.05 --out hits
    cgatjax screen runs/scan candidates.json.bz2 --best 500 --out hits

    After a kill the same command with --resume goes on; the results are the same to the byte.
    """
    from cgatjax.inference.loading import load_predictor
    from cgatjax.screening.screen_loop import CHUNK_ROWS
    from cgatjax.screening.screen_loop import screen as screen_candidates

    lists = _lists(elements)
    if options["function"]:
        sys.path.append(os.getcwd())
    is_store = len(inputs) == 1 and (Path(inputs[0]) / MANIFEST).is_file()
    structures: Any = open_store(inputs[0]) if is_store and not lists else list(inputs)
    done = screen_candidates(
        load_predictor(run, uncertainty),
        structures,
        Path(out),
        elements=lists or None,
        classes=classes,  # type: ignore[arg-type]
        filters=_filters(options),
        keep=_keep(options),
        target=target,
        resume=resume,
        chunk_rows=chunk_rows or CHUNK_ROWS,
        batch_size=batch_size,
        on_error=on_error,  # type: ignore[arg-type]
        show_progress=True,
    )
    _show(done.report, done.results)


def _lists(elements: tuple[str, ...]) -> dict[str, Any]:
    """{class: symbols, or "all"} from CLASS=LIST options."""
    lists: dict[str, Any] = {}
    for text in elements:
        name, equals, values = text.partition("=")
        if not (name and equals and values):
            raise InputError(f"--elements {text!r}: expected CLASS=LIST, such as Sr=Ca,Sr,Ba")
        if name in lists:
            raise InputError(f"--elements: class {name!r} was given twice")
        lists[name] = "all" if values == "all" else _symbols(values)
    return lists


def _symbols(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip()) if text else ()


def _filters(options: dict[str, Any]) -> Any:
    from cgatjax.screening.composition_filter import CompositionFilter

    ordered = options["electronegativity"]
    return CompositionFilter(
        allowed=_symbols(options["allowed"]),
        forbidden=_symbols(options["forbidden"]),
        distinct=options["distinct"],
        min_elements=options["min_elements"],
        charge="ordered" if ordered else "neutral" if options["neutral"] else "any",
        states=options["oxidation_states"],
        function=options["function"],
    )


def _keep(options: dict[str, Any]) -> Any:
    from cgatjax.screening.ranking import Keep

    best, below, above = (options[name] for name in ("best", "below", "above"))
    chosen = [value for value in (best, below, above) if value is not None]
    if options["everything"] and chosen:
        raise ConfigError("--all goes with none of --best, --below, --above")
    if not chosen and not options["everything"]:
        best = DEFAULT_BEST
    return Keep(best=best, below=below, above=above, highest=options["highest"])


def _show(report: dict[str, Any], results: Path) -> None:
    """The counts, and the best rows."""
    from cgatjax.screening.ranked_parquet import read_rows

    seconds = report["seconds"]["predict"]
    click.echo(
        fields(
            {
                "candidates": report["seen"],
                **{f"left out: {reason}": n for reason, n in report["left_out"].items()},
                "structures skipped": report["skipped"],
                "predicted": report["predicted"],
                "kept": report["rows"],
                "seconds": seconds,
                "predicted a second": report["candidates_per_second"],
            }
        )
    )
    if report["rows"]:
        rows = read_rows(sorted(results.glob("*.parquet"))[0]).slice(0, SHOWN).to_pylist()
        lines = [
            (row["id"], row["formula"], row["mean"], "" if row["std"] is None else row["std"])
            for row in rows
        ]
        unit = report["unit"] or "?"
        header = ("id", "formula", f"{report['target']} ({unit})", "std")
        click.echo(table(header, lines))
    click.echo(f"std: {report['std_note']}")
    click.echo(f"all of them: {results}")
