"""Figures of the report, as SVG elements with their captions."""

import html

import numpy as np

from cgatjax.adaptation.findings import Findings
from cgatjax.data.compositions import element_fractions
from cgatjax.plotting.adaptation_plots import (
    CandidateRow,
    candidates_figure,
    novelty_figure,
    parity_figure,
)
from cgatjax.plotting.calibration_plots import reliability
from cgatjax.plotting.inline_svg import to_svg
from cgatjax.plotting.residual_plots import residuals_by_element
from cgatjax.plotting.scaling_plots import scaling_figure
from cgatjax.structures import SYMBOLS


def draw_figures(findings: Findings) -> dict[str, str]:
    """Draw all figures that the findings allow: name -> HTML."""
    task, unit = findings.task, findings.task.unit
    # Errors that had no part in the choice, as those of the test set.
    choice, values = findings.choice, task.values
    test = findings.predictions.means[task.target]
    found = {
        "candidates": _figure(
            to_svg(candidates_figure(_rows(findings), unit), "candidates"),
            "Errors in cross-validation with 95 % intervals; orange: chosen, green: simple models.",
        ),
        "parity": _figure(
            to_svg(
                parity_figure(
                    {
                        "cross-validation": (values, choice.means),
                        "test set": (findings.test_values, test),
                    },
                    task.target,
                    unit,
                ),
                "parity",
            ),
            "Predictions for crystals that were not trained on.",
        ),
    }
    std = None
    if findings.predictor.errors is not None:
        std = findings.predictor.errors.std(choice.stds, findings.novelty)
        sets = {"cross-validation": (values, choice.means, std)}
        if findings.test_coverage:
            test_std = findings.predictions.stds[task.target]
            sets["test set"] = (findings.test_values, test, test_std)
        found["calibration"] = _figure(
            to_svg(reliability(sets), "calibration"),
            "Share of the values in central intervals, against the expected share.",
        )
    found["novelty"] = _figure(
        to_svg(novelty_figure(findings.novelty, choice.means - values, std, unit), "novelty"),
        "Errors in cross-validation against the distance from the nearest training crystal in "
        "embedding space; 1 is the distance that 95 % of new formulas do not exceed.",
    )
    drawing = residuals_by_element(choice.means - values, _elements(findings), unit)
    found["elements"] = _figure(
        to_svg(drawing, "elements", follows_page=False),
        "Mean absolute error in cross-validation of the crystals that contain an element.",
        "plain",
    )
    if findings.curve is not None and findings.curve.law is not None:
        drawing = scaling_figure({findings.curve.way: findings.curve.law})
        found["curve"] = _figure(
            to_svg(drawing, "curve"),
            "Error against the number of training crystals, nested subsets in all folds; the band "
            "holds 95 % of the fits.",
        )
    return found


def _rows(findings: Findings) -> list[CandidateRow]:
    choice, rows = findings.choice, []
    if len(choice.weights) > 1:
        rows.append(CandidateRow("weighted mean", choice.score.mae, choice.score.error, "chosen"))
    for contender in choice.contenders:
        only = list(choice.weights) == [contender.name]
        kind = "chosen" if only else "simple" if contender.is_simple else "other"
        score = choice.scores[contender.name]
        rows.append(CandidateRow(contender.name, score.mae, score.error, kind))
    return rows


def _elements(findings: Findings) -> list[list[str]]:
    present = element_fractions(findings.task.pool) > 0
    return [[SYMBOLS[z] for z in np.flatnonzero(row)] for row in present]


def _figure(svg: str, caption: str, kind: str = "") -> str:
    return f"<figure class='{kind}'>{svg}<figcaption>{html.escape(caption)}</figcaption></figure>"
