"""`screen`: predictions for very many decorations of prototypes, or for a stream of structures."""

import os
import sys
from pathlib import Path
from typing import Any, Literal

import click

import cgatjax as cg
from cgatjax.cli.command_options import Kind, command
from cgatjax.runtime import fields, table

SHOWN = 10
"""Number of best rows that are printed."""
DEFAULT_BEST = 1000


def _candidates(
    *,
    prototype: tuple[str, ...] = (),
    elements: dict[str, str],
    classes: Literal["element", "orbit"] = "element",
    properties: str | None = None,
    on_error: Literal["raise", "skip"] = "raise",
) -> tuple[list[Any], dict[str, Any]]:
    """Return structure types, and the arguments of `screen` that describe the candidates.

    Candidates:
      prototype NAME: Structure type of the library instead of INPUT, such as rocksalt, perovskite
        or spinel, with the classes A, B, C of cations and X, Y of anions; a wrong name lists all.
      elements CLASS=LIST: Elements for a class of sites, such as Sr=Ca,Sr,Ba. CLASS is an element
        of the prototype, its number from 1, or * for all others; LIST may be all.
        Without this option INPUT are the structures themselves, not prototypes.
      classes: Sites that get the same element: those of one element, or those equivalent by
        symmetry.
      properties
      on_error
    """
    lists = {name: "all" if text == "all" else _symbols(text) for name, text in elements.items()}
    if prototype and not lists:
        raise cg.InputError(
            "--prototype: expected the elements of its classes, --elements CLASS=LIST"
        )
    about = {"classes": classes, "properties": properties, "on_error": on_error}
    return [cg.find_prototype(name) for name in prototype], {"elements": lists or None, **about}


def _filters(
    *,
    neutral: bool = False,
    electronegativity: bool = False,
    oxidation_states: Literal["icsd", "common"] = "icsd",
    allowed: str | None = None,
    forbidden: str | None = None,
    distinct: bool = False,
    min_elements: int = 1,
    function: str = "",
) -> "cg.CompositionFilter":
    """Make the filter of compositions.

    Filters:
      neutral: Keep compositions whose oxidation states can add up to zero.
      electronegativity: Keep neutral compositions with every cation less electronegative than every
        anion.
      oxidation_states: Oxidation states that occur in the ICSD, or the most common ones.
      allowed LIST: Elements that may occur.
      forbidden LIST: Elements that may not occur.
      distinct: Require different elements in the classes.
      min_elements: Smallest number of elements.
      function MODULE:NAME: Python function that keeps a composition if it returns True, called with
        the symbols and amounts of the classes.
    """
    if function:
        sys.path.append(os.getcwd())
    return cg.CompositionFilter(
        allowed=_symbols(allowed),
        forbidden=_symbols(forbidden),
        distinct=distinct,
        min_elements=min_elements,
        charge="ordered" if electronegativity else "neutral" if neutral else "any",
        states=oxidation_states,
        function=function,
    )


def _keep(
    *,
    best: int | None = None,
    below: float | None = None,
    above: float | None = None,
    all_: bool = False,
    highest: bool = False,
) -> "cg.Keep":
    """Make the rule for the predictions to keep.

    Ranking:
      best: Number of predictions to keep. [default: 1000 without --below, --above and --all]
      below: Keep predictions below this, in their unit.
      above: Keep predictions above this, in their unit.
      all_: Keep all predictions.
      highest: Rank from the highest prediction downward.
    """
    is_chosen = (best, below, above) != (None, None, None)
    if all_ and is_chosen:
        raise cg.ConfigError("--all goes with none of --best, --below, --above")
    best = best if all_ or is_chosen else DEFAULT_BEST
    return cg.Keep(best=best, below=below, above=above, highest=highest)


def _known_phases(
    *, hull: tuple[str, ...] = (), hull_energy: str = "e-form"
) -> "cg.KnownHull | None":
    """Read the known phases.

    Output:
      hull INPUT: Known phases with formation energies in eV/atom, such as the output of `hull`: the
        column hull_distance then has the predicted energies above their hull.
      hull_energy NAME: Property of the known phases with the formation energy.
    """
    return cg.read_hull(hull, hull_energy, "skip") if hull else None


@command({"candidates": _candidates, "filters": _filters, "keep": _keep, "phases": _known_phases})
def screen(
    run: str,
    inputs: tuple[str, ...] = (),
    *,
    candidates: tuple[list[Any], dict[str, Any]],
    filters: "cg.CompositionFilter",
    keep: "cg.Keep",
    phases: "cg.KnownHull | None",
    keep_unseen: bool = False,
    target: str | None = None,
    uncertainty: Kind | None = None,
    out: str,
    structures: int = 10,
    resume: bool = False,
    batch_size: int | None = None,
    chunk_rows: int | None = None,
) -> None:
    """Screen decorations of prototypes, or structures, and keep the best.

    Each class of sites of each prototype takes each element of its list, unless a filter rejects
    the composition. Candidates with elements that the model was never trained on are left out.
    OUT/best.csv has the best 1000 rows and OUT/structures CIF files of the first of them;
    OUT/results has sorted Parquet files with id, prototype, formula, elements of the classes, mean,
    standard deviation and its source, 90 % interval, unit, distance to the hull of known phases,
    and elements that the model has hardly or never seen; OUT/report.json counts what was left out,
    by reason. INPUT: as for `featurize`, or a store.

    \b
    cgatjax screen runs/scan --prototype perovskite --elements A=Ca,Sr,Ba --elements B=Ti,Zr,Hf \\
        --elements X=O,S --out hits
    cgatjax screen runs/scan SrTiO3.cif --elements Sr=all --elements Ti=all --elements O=O,S,F \\
        --electronegativity --best 1000 --out hits
    cgatjax screen runs/scan prototypes/ --elements '*=all' --neutral --below 0.05 --out hits
    cgatjax screen runs/scan candidates.json.bz2 --best 500 --out hits

    After a kill, the same command with --resume continues; the results are the same to the byte.

    Filters:
      keep_unseen: Keep candidates with elements that the model was never trained on, whose
        predictions cannot be trusted.
    Ranking:
      target NAME: Property, if the run predicts several.
      uncertainty
    Output:
      out PATH: Folder to create.
      structures: Number of the best candidates to write as CIF files, not relaxed.
      resume: Resume an interrupted screening; start it if there is nothing yet.
    Hardware:
      batch_size: Candidates per batch. [default: chosen by sizes and device]
      chunk_rows: Candidates per chunk on disk. [default: 16384]
    """
    from cgatjax.cli.data_files import store_or_files
    from cgatjax.screening.screen_loop import CHUNK_ROWS

    types, about = candidates
    if not (inputs or types):
        raise cg.InputError("expected INPUT or --prototype NAME, got none")
    done = cg.screen(
        cg.load_predictor(run, uncertainty),
        [*types, *inputs] if about["elements"] else store_or_files(inputs),
        Path(out),
        filters=filters,
        keep=keep,
        target=target,
        structures=structures,
        keep_unseen=keep_unseen,
        hull=phases,
        resume=resume,
        chunk_rows=chunk_rows or CHUNK_ROWS,
        batch_size=batch_size,
        show_progress=True,
        **about,
    )
    _show(done.report, done.results)


def _symbols(text: str | None) -> tuple[str, ...]:
    return tuple(s.strip() for s in (text or "").split(",") if s.strip())


def _show(report: dict[str, Any], results: Path) -> None:
    """Print the counts and the best rows."""
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
                "predicted per second": report["candidates_per_second"],
            }
        )
    )
    if report["rows"]:
        rows = read_rows(sorted(results.glob("*.parquet"))[0]).slice(0, SHOWN).to_pylist()
        unit = report["unit"] or "?"
        names = {"id": "id", "formula": "formula", "mean": f"{report['target']} ({unit})"}
        names |= {"std": "std", "hull_distance": "above hull", "rare_elements": "rare elements"}
        shown = [n for n in names if n == "std" or any(row[n] is not None for row in rows)]
        lines = [tuple("" if row[n] is None else row[n] for n in shown) for row in rows]
        header = tuple(names[n] for n in shown)
        click.echo(table(header, lines))
    click.echo(f"std: {report['std_note']}")
    click.echo(f"{results.parent}: best.csv, structures, results")
