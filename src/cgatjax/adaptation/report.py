"""Report of an adaptation: one HTML page without scripts, files or network."""

import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cgatjax._version import __version__
from cgatjax.adaptation.findings import Findings, to_json
from cgatjax.adaptation.report_figures import draw_figures
from cgatjax.adaptation.report_style import STYLE
from cgatjax.adaptation.selection import Score
from cgatjax.inference.error_model import coverages
from cgatjax.model.model import versions
from cgatjax.runtime import write_durably
from cgatjax.structures import readable_formula

NOTHING = "-"
"""Cell without a number."""
KINDS = {
    "element-group": "columns of the periodic table",
    "period": "rows of the periodic table",
    "prototype": "structure types",
}
"""Kind of groups that are left out -> words."""
_WORST = 8
"""Crystals with the largest test errors that are listed."""


def write_report(path: Path, findings: Findings, out: Path, made_by: str) -> None:
    """Write the page.

    Args:
      path: HTML file.
      findings: everything to show.
      out: folder of the adaptation, for the commands.
      made_by: command that made it, "" if unknown.
    """
    figures = draw_figures(findings)
    target = html.escape(findings.task.target)
    sections = [
        _verdict(findings),
        _section("Data", _checks(findings)),
        _section("Candidates", figures["candidates"], _candidates(findings)),
        _section("Test set", figures["parity"], _test(findings), figures.get("elements", "")),
        _section("Uncertainty", figures.get("calibration", ""), _uncertainty(findings)),
        _section("Out of distribution", figures["novelty"], _groups(findings)),
        _section("Is the data enough?", figures.get("curve", ""), _curve(findings)),
        _section("What to compute next", _next(findings)),
        _section("How to use and repeat it", _commands(findings, out, made_by)),
    ]
    page = (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        "<meta name='color-scheme' content='light dark'>"
        f"<title>{target}: adapted model</title><style>{STYLE}</style></head><body>\n"
        f"<h1>A model of {target}</h1>\n{''.join(sections)}\n"
        f"<footer>cgatjax {html.escape(__version__)}, <code>cgatjax adapt</code></footer>"
        "</body></html>\n"
    )
    write_durably(path, page.encode())


def number(value: float, unit: str = "") -> str:
    """Format a number with three digits and its unit."""
    if not np.isfinite(value):
        return NOTHING
    return f"{value:.3g} {unit}".strip()


def _section(title: str, *parts: str) -> str:
    body = "".join(parts)
    return f"<section><h2>{title}</h2>{body}</section>\n" if body else ""


def _table(
    header: Sequence[str], rows: Sequence[Sequence[str]], classes: Sequence[str] = ()
) -> str:
    """Format a table; cells are HTML."""
    head = "".join(f"<th>{cell}</th>" for cell in header)
    marks = classes or [""] * len(rows)
    body = "".join(
        f"<tr class='{mark}'>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>"
        for row, mark in zip(rows, marks, strict=True)
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f"<div class='wide'>{table}</div>"


def _verdict(findings: Findings) -> str:
    choice, unit = findings.choice, findings.task.unit
    simple = findings.test_maes[choice.best_simple.name]
    mean = findings.test_maes.get("mean value", float("nan"))
    errors, coverage = findings.errors, findings.test_coverage
    tiles = [
        ("test error (MAE)", number(errors["mae"]), unit, f"{errors['n']} crystals"),
        ("best simple model", number(simple), unit, html.escape(choice.best_simple.name)),
        ("mean value", number(mean), unit, "what knowing nothing gives"),
    ]
    if coverage:
        share = f"{coverage['95']:.0%}"
        tiles.append(("95 % intervals hold", share, "", f"68 %: {coverage['68']:.0%}"))
    boxes = "".join(
        f"<div class='tile'><span>{title}</span><b>{value} <i>{html.escape(of)}</i></b>"
        f"<small>{about}</small></div>"
        for title, value, of, about in tiles
    )
    return (
        f"<p class='verdict'>Chosen: <b>{html.escape(choice.name)}</b>. "
        f"{html.escape(choice.reason)}</p><div class='tiles'>{boxes}</div>\n"
    )


def _checks(findings: Findings) -> str:
    marks = {"ok": "✓", "note": "i", "warning": "!"}
    rows = "".join(
        f"<li class='{c.level}'><span>{marks[c.level]}</span>{html.escape(c.text)}</li>"
        for c in findings.checks
    )
    return f"<ul class='checks'>{rows}</ul>"


def _candidates(findings: Findings) -> str:
    choice, unit = findings.choice, findings.task.unit
    rows, marks = [], []
    if len(choice.weights) > 1:
        rows.append(_row("weighted mean", "", choice.score, findings.errors["mae"], "", ""))
        marks.append("chosen")
    for contender in choice.contenders:
        name, weight = contender.name, choice.weights.get(contender.name, 0.0)
        rows.append(
            _row(
                name,
                f"{weight:.0%}" if weight else "",
                choice.scores[name],
                findings.test_maes[name],
                f"{contender.folds}",
                f"{contender.seconds:.0f} s",
                is_reference=name == choice.best_simple.name,
            )
        )
        marks.append("chosen" if weight == 1 else "simple" if contender.is_simple else "")
    header = (
        "candidate",
        "weight",
        f"cross-validation MAE ({html.escape(unit or '?')})",
        "against the best simple one",
        "test MAE",
        "folds",
        "time",
    )
    left = "".join(
        f"<li>{html.escape(name)}: {html.escape(reason)}</li>"
        for name, reason in findings.left_out.items()
    )
    note = f"<p>Not run on all folds:</p><ul>{left}</ul>" if left else ""
    hidden = ""
    if any(c.hidden_std for c in choice.contenders):
        hidden = (
            " A source that was trained on the same formulas predicts them better than new ones: "
            "the error that is expected of new ones is added, less of it to the mean of two "
            "sources."
        )
    return (
        "<p>All candidates predict the same crystals, whose formulas they were not trained on. "
        "Cross-validation alone decides; the test set was read once, at the end. ± is one standard "
        "error; differences are taken crystal by crystal, so they are more certain than the errors "
        f"themselves.{hidden}</p>{_table(header, rows, marks)}{note}"
    )


def _row(
    name: str,
    weight: str,
    score: Score,
    test_mae: float,
    folds: str,
    seconds: str,
    is_reference: bool = False,
) -> tuple[str, ...]:
    gap = "reference" if is_reference else f"{score.gap:+.0%} ± {score.gap_error:.0%}"
    mae = f"{number(score.mae)} ± {number(score.error)}"
    return html.escape(name), weight, mae, gap, number(test_mae), folds, seconds


def _test(findings: Findings) -> str:
    task, found = findings.task, findings.predictions
    means, std = found.means[task.target], found.stds[task.target]
    errors, formulas = means - findings.test_values, task.test.formulas
    worst = np.argsort(-np.abs(errors))[:_WORST]
    rows = [
        (
            html.escape(found.ids[k]),
            html.escape(readable_formula(formulas[k])),
            number(findings.test_values[k]),
            f"{number(means[k])} ± {number(std[k])}",
            number(errors[k]),
        )
        for k in worst
    ]
    outside = found.outside
    words = ""
    if outside is not None and outside.any() and not outside.all():
        inside, far = np.abs(errors[~outside]).mean(), np.abs(errors[outside]).mean()
        words = (
            f"<p>{int(outside.sum())} of {len(errors)} test crystals are flagged as out of "
            f"distribution: MAE {number(far, task.unit)}, others {number(inside, task.unit)}.</p>"
        )
    header = ("id", "formula", "value", "predicted", "error")
    return f"{words}<p>Largest errors:</p>{_table(header, rows)}"


def _uncertainty(findings: Findings) -> str:
    task, predictor = findings.task, findings.predictor
    if predictor.errors is None:
        return "<p>No standard deviations: all errors in cross-validation are zero.</p>"
    std = predictor.errors.std(findings.choice.stds, findings.novelty)
    errors = findings.choice.means - task.values
    rows = [
        ("cross-validation", *(f"{v:.0%}" for v in coverages(errors, std).values()), str(len(std)))
    ]
    if coverage := findings.test_coverage:
        count = str(len(task.test))
        rows.append(("test set", *(f"{v:.0%}" for v in coverage.values()), count))
    note = html.escape(predictor.std_note(task.target))
    return f"<p>Standard deviation: {note}.</p>" + _table(
        ("values within", "68 % interval", "95 % interval", "crystals"), rows
    )


def _groups(findings: Findings) -> str:
    unit, curve = findings.task.unit, findings.curve
    words = (
        "<p>A prediction is flagged if the crystal is farther from all training crystals than 95 % "
        "of new formulas were, or if it contains an element that none of them contains.</p>"
    )
    if not findings.groups or curve is None:
        return words
    mae = findings.choice.scores[curve.way].mae
    rows: list[tuple[str, ...]] = [
        ("new formulas", number(mae), NOTHING, NOTHING, "5 %", NOTHING, NOTHING)
    ]
    for kind, left in findings.groups.items():
        rows.append(
            (
                f"{KINDS[kind]}<br><small>{html.escape(', '.join(left.groups))}</small>",
                number(left.mae),
                number(left.inside_mae),
                number(left.outside_mae),
                f"{left.flagged:.0%}",
                *(
                    f"{left.coverage[k]:.0%}" if k in left.coverage else NOTHING
                    for k in ("68", "95")
                ),
            )
        )
    header = (
        "left out of the training",
        f"MAE ({html.escape(unit or '?')})",
        "not flagged",
        "flagged",
        "share flagged",
        "within 68 %",
        "within 95 %",
    )
    return (
        f"{words}<p>Test of the flag and of the intervals, with {html.escape(curve.way)}: groups "
        f"of crystals are left out of the training and predicted.</p>{_table(header, rows)}"
    )


def _curve(findings: Findings) -> str:
    curve, unit, n = findings.curve, findings.task.unit, len(findings.task.pool)
    if curve is None or curve.law is None or curve.doubled is None:
        return "<p>Too few crystals, or too little time, for a learning curve.</p>"
    now, twice = float(curve.law.error_at(float(n))), curve.doubled
    return (
        f"<p>{html.escape(curve.way)}: {number(now, unit)} expected with the {n} crystals of now, "
        f"<b>{number(twice.value, unit)}</b> ({number(twice.low)} to {number(twice.high)}) with "
        f"{2 * n}: {twice.value / now - 1:+.0%} for twice the calculations.</p>"
    )


def _next(findings: Findings) -> str:
    cheap = (
        "<p>More crystals at the cheap level of theory of the source model lower the error after "
        "transfer, too, and each costs a fraction of an accurate one.</p>"
    )
    found = findings.selection
    if found is None:
        return (
            "<p>Put structures without a value into the input, and the ones worth computing are "
            f"listed here, or use <code>cgatjax select</code>.</p>{cheap}"
        )
    formula_of = dict(
        zip(findings.task.unlabeled.ids, findings.task.unlabeled.formulas, strict=True)
    )
    formulas = [formula_of[name] for name in found.ids]
    rows = [
        (html.escape(name), html.escape(readable_formula(f)), f"{number(m)} ± {number(s)}")
        for name, f, m, s in zip(found.ids, formulas, found.means, found.stds, strict=True)
    ]
    table = _table(("id", "formula", f"predicted {html.escape(found.target)}"), rows)
    return (
        f"<p>The {len(found)} crystals without a value that are most uncertain and differ most "
        "from those known and from each other, in order. They are unusual: on public data the mean "
        "error fell no faster with them than with random ones.</p><details><summary>the list"
        f"</summary>{table}</details>{cheap}"
    )


def _commands(findings: Findings, out: Path, made_by: str) -> str:
    name = html.escape(str(out))
    use = f"cgatjax predict {name}/model new/*.cif --out predictions.csv\n"
    use += f"cgatjax screen {name}/model prototypes/ --out hits\n"
    use += f"cgatjax select {name}/model candidates.store --count 50 --out next.csv"
    needs = ", ".join(findings.predictor.properties)
    words = f"<p>Predictions need each crystal's {html.escape(needs)}.</p>" if needs else ""
    lineage: dict[str, Any] = {
        "sources": [s.name for s in findings.sources if not s.is_blank],
        "options": findings.options.to_dict(),
        "versions": versions(),
    }
    text = html.escape(json.dumps(json.loads(to_json(lineage)), indent=1))
    again = f"<p>Made by</p><pre>{html.escape(made_by)}</pre>" if made_by else ""
    return (
        f"{words}<pre>{use}</pre>{again}<details><summary>options, sources and versions</summary>"
        f"<pre>{text}</pre></details>"
    )
