"""Adaptation: from crystals with values to the best model that they allow, and an honest report."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cgatjax.active_learning import Selection, eligible_candidates, select
from cgatjax.adaptation.candidates import Candidate, Process, Simple
from cgatjax.adaptation.checks import Finding, check_data
from cgatjax.adaptation.external import External
from cgatjax.adaptation.final import assemble, final_part
from cgatjax.adaptation.groups import GroupKind
from cgatjax.adaptation.learning_curve import LearningCurve, learning_curve
from cgatjax.adaptation.leave_out import LeftOut, leave_out
from cgatjax.adaptation.networks import Training, Way
from cgatjax.adaptation.schedule import Note, Schedule
from cgatjax.adaptation.selection import Choice, choose
from cgatjax.adaptation.sources import Source
from cgatjax.adaptation.task import Task
from cgatjax.config import AdaptConfig
from cgatjax.inference.adapted import AdaptedPredictor, Part
from cgatjax.inference.baselines import has_known
from cgatjax.inference.error_model import coverages
from cgatjax.inference.loading import save_adapted
from cgatjax.inference.prediction import predict
from cgatjax.inference.prediction_table import Predictions
from cgatjax.model.metrics import errors_of
from cgatjax.runtime.files import write_durably
from cgatjax.simple_models.models import Name

EXTRA = 0.15
"""Time for learning curve and groups left out, each, as a fraction of the time for candidates."""
_WAYS: tuple[Way, ...] = ("head", "head then all", "all", "layer-wise")
_KNOWN_WAYS: tuple[Way, ...] = ("head", "all", "head then all", "layer-wise")
"""Trainings for a property that the source predicts. Both tuples list mostly better networks first
(docs/results/adapt.md)."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Findings:
    """Everything that the report shows.

    Attributes:
      task: crystals and folds.
      options: of the adaptation.
      sources: models to start from.
      checks: findings about the data.
      choice: weights and scores of all candidates.
      left_out: name -> reason, for candidates that did not run on all folds.
      test_maes: name -> test error of each candidate.
      predictor: chosen model.
      predictions: of the test set.
      novelty: (pool,) in the validation folds.
      curve: learning curve; None if there was no cheap candidate to draw it with.
      groups: kind -> errors of crystals whose group was left out.
      selection: crystals to compute next; None without crystals that have no value.
      seconds: of the candidates.
    """

    task: Task
    options: AdaptConfig
    sources: Sequence[Source]
    checks: list[Finding]
    choice: Choice
    left_out: Mapping[str, str]
    test_maes: Mapping[str, float]
    predictor: AdaptedPredictor
    predictions: Predictions
    novelty: np.ndarray
    curve: LearningCurve | None
    groups: Mapping[GroupKind, LeftOut]
    selection: Selection | None
    seconds: float

    @property
    def errors(self) -> dict[str, float]:
        """Test errors of the chosen model: "mae", "rmse" and "n"."""
        return errors_of(self.predictions.means[self.task.target], self.test_values)

    @property
    def test_values(self) -> np.ndarray:
        """(test,) values of the test set."""
        return self.task.test.target(self.task.target)

    @property
    def test_coverage(self) -> dict[str, float]:
        """Shares of the test values within the 68 % and 95 % intervals, {} without intervals."""
        std = self.predictions.stds[self.task.target]
        errors = self.predictions.means[self.task.target] - self.test_values
        return coverages(errors, std) if np.isfinite(std).all() else {}


def candidates_for(task: Task, sources: Sequence[Source], steps: int) -> list[Candidate]:
    """List the candidates of a task: the simplest first, then mostly better networks first."""
    first, target = sources[0], task.target
    kinds: tuple[Name, ...] = ("mean", "ridge", "trees")
    found: list[Candidate] = []
    for baseline in (None, *task.baselines):
        found += [Simple(kind=k, source=first, target=target, baseline=baseline) for k in kinds]
    # Where a cheap value is known, the difference to it is far easier to learn than the whole.
    known = task.baselines[:1] or (None,)
    for source in (s for s in sources if not s.is_blank):
        if source.knows(target):
            found += [Simple(kind=k, source=source, target=target, on_network=True) for k in kinds]
        for baseline in (None, *task.baselines):
            found.append(Process(source=source, target=target, baseline=baseline))
        for baseline in known:
            is_known = baseline is None and source.knows(target)
            found += [
                Training(way=way, source=source, target=target, steps=steps, baseline=baseline)
                for way in (_KNOWN_WAYS if is_known else _WAYS)
            ]
    scratch: Way = "from scratch"
    last = Training(way=scratch, source=first, target=target, steps=steps, baseline=known[0])
    return [*found, last]


def run_adaptation(
    task: Task,
    sources: Sequence[Source],
    embeddings: Sequence[Path],
    options: AdaptConfig,
    out: Path,
    note: Note,
) -> Findings:
    """Run the candidates, choose, assemble, and read the test set once.

    Everything but the test values decides the choice.

    Args:
      task: crystals and folds.
      sources: models to start from.
      embeddings: files of embeddings from elsewhere.
      options: of the adaptation.
      out: folder of the results.
      note: shows what is being done.
    """
    external = [
        External.load(path, task.crystals, task.target, sources[0].prepared(task.target))
        for path in embeddings
    ]
    checks = check_data(task, sources)
    schedule = Schedule(task=task, out=out, seconds=60 * options.minutes, note=note)
    listed: list[Candidate] = [*candidates_for(task, sources, options.steps), *external]
    candidates = {c.name: c for c in listed}
    contenders = schedule.run(list(candidates.values()))
    choice = choose(contenders, task.values, task.pool.formulas, task.folds)
    note(f"chosen: {choice.name}")
    parts = {
        c.name: final_part(candidates[c.name], schedule.results[c.name], task) for c in contenders
    }
    found = choice.means, choice.stds, choice.hidden_std
    predictor, novelty = assemble(choice.weights, parts, task, *found)
    save_adapted(out / "model", predictor)
    probe = _probe(choice, candidates)
    curve, groups = None, dict[GroupKind, LeftOut]()
    if probe is not None:
        extra = EXTRA * schedule.seconds
        whole = next(c for c in contenders if c.name == probe.name)
        curve = learning_curve(probe, task, whole.means, extra, note)
        found = whole.means, whole.stds, whole.hidden_std
        law, _ = assemble({whole.name: 1.0}, parts, task, *found)
        points = probe.source.embeddings(task.pool, task.target)
        groups = leave_out(probe, task, law.errors, law.domain, points, extra, note)
    selection = _next_crystals(predictor, task, options)
    # The values of the test set are read here, after every choice.
    predictions = predict(predictor, task.test, show_progress=False)
    return Findings(
        task=task,
        options=options,
        sources=sources,
        checks=checks,
        choice=choice,
        left_out=schedule.left_out,
        test_maes=_test_maes(candidates, parts, task),
        predictor=predictor,
        predictions=predictions,
        novelty=novelty,
        curve=curve,
        groups=groups,
        selection=selection,
        seconds=schedule.used,
    )


def _probe(choice: Choice, candidates: Mapping[str, Candidate]) -> Simple | Process | None:
    """Return the best single candidate that is fitted in seconds, for curves and groups."""
    for contender in choice.contenders:
        candidate = candidates[contender.name]
        if isinstance(candidate, Simple | Process) and candidate.name != "mean value":
            return candidate
    return None


def _next_crystals(
    predictor: AdaptedPredictor, task: Task, options: AdaptConfig
) -> Selection | None:
    if not len(task.unlabeled) or predictor.errors is None:
        return None
    known, pool = [task.pool, task.test], task.unlabeled
    pool = pool.select(has_known(predictor.members, pool))
    eligible, _ = eligible_candidates(pool, known)
    count = min(options.next_count, len(eligible))
    if not count:
        return None
    return select(predictor, pool, count, known=known, show_progress=False)


def _test_maes(
    candidates: Mapping[str, Candidate], parts: Mapping[str, Part], task: Task
) -> dict[str, float]:
    """Compute the test error of each candidate."""
    values = task.test.target(task.target)
    return {
        name: errors_of(candidates[name].predict(part, task.test)[0], values)["mae"]
        for name, part in parts.items()
    }


def summary(findings: Findings) -> dict[str, Any]:
    """Make the content of `adapt.json`; errors are in the unit of the target."""
    choice, task, curve = findings.choice, findings.task, findings.curve
    doubled = curve.doubled if curve is not None else None
    return {
        "target": task.target,
        "unit": task.unit,
        "chosen": choice.name,
        "reason": choice.reason,
        "best_simple": choice.best_simple.name,
        "test": {**findings.errors, "coverage": findings.test_coverage},
        "candidates": [
            {
                "name": c.name,
                "weight": choice.weights.get(c.name, 0.0),
                "valid_mae": choice.scores[c.name].mae,
                "valid_error": choice.scores[c.name].error,
                "test_mae": findings.test_maes[c.name],
                "seconds": c.seconds,
                "steps": c.steps,
                "folds": c.folds,
                "simple": c.is_simple,
            }
            for c in choice.contenders
        ],
        "left_out": dict(findings.left_out),
        "checks": [c._asdict() for c in findings.checks],
        "needs": list(findings.predictor.properties),
        "std": findings.predictor.std_note(task.target),
        "groups": {kind: left.to_dict() for kind, left in findings.groups.items()},
        "learning_curve": None
        if curve is None
        else {
            "way": curve.way,
            "sizes": curve.sizes.tolist(),
            "errors": curve.errors.tolist(),
            "doubled": None if doubled is None else asdict(doubled),
        },
        "next": [] if findings.selection is None else findings.selection.ids,
        "counts": {
            "pool": len(task.pool),
            "test": len(task.test),
            "unlabeled": len(task.unlabeled),
        },
        "sources": [s.name for s in findings.sources if not s.is_blank],
        "options": findings.options.to_dict(),
        "seconds": findings.seconds,
    }


def save_test_predictions(path: Path, findings: Findings) -> None:
    """Write value, prediction, standard deviation and flag of the test crystals as CSV.

    Raises:
      StorageError: the file cannot be written.
    """
    frame = findings.predictions.to_frame()
    frame.insert(1, "value", findings.test_values)
    write_durably(path, frame.to_csv(index=False).encode())


def to_json(content: Mapping[str, Any]) -> bytes:
    """Format as JSON, with null for what is not a number."""
    return json.dumps(_plain(content), indent=1, allow_nan=False).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value
