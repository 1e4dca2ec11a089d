"""Schedule of an adaptation: cheap candidates first, trainings of whole networks while time allows.

Cheap candidates run on all folds. Whole networks start from one source: the first whose best cheap
candidate is not worse than that of any other source, beyond noise. They run on the first fold, and
the first two of them that are not worse than the best of all there, beyond noise, on the others.
The first, not the best two: a fold is a dozen crystals of fifty, and the list has what is mostly
better first. When an adaptation is resumed, the time of earlier processes counts.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cgatjax.adaptation.candidates import Candidate
from cgatjax.adaptation.contenders import Contender, standard_error
from cgatjax.adaptation.external import External
from cgatjax.adaptation.fold_results import (
    FoldResult,
    gathered,
    load_result,
    save_result,
)
from cgatjax.adaptation.task import Task
from cgatjax.errors import TrainingError

logger = logging.getLogger("cgatjax")
Note = Callable[[str], None]
"""Shows what is being done."""
PROMISING = 2
"""Whole networks that run on all folds."""
BEYOND_NOISE = 2.0
"""Standard errors by which a source, or a network on the first fold, is worse than the best one."""


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide the messages of single trainings, but no warnings."""
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


@dataclass(eq=False, kw_only=True)
class Schedule:
    """Candidates on folds, with the time that they may take.

    Attributes:
      task: crystals and folds.
      out: folder of the results.
      seconds: time for all candidates.
      note: shows what is being done.
      results: name -> results of the folds that are done.
      left_out: name -> reason, for candidates that did not run.
    """

    task: Task
    out: Path
    seconds: float
    note: Note
    results: dict[str, list[FoldResult]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def used(self) -> float:
        """Seconds of all fits so far, of earlier processes too."""
        return sum(r.seconds for found in self.results.values() for r in found)

    def run(self, candidates: Sequence[Candidate]) -> list[Contender]:
        """Run all candidates that fit into the time."""
        cheap = [c for c in candidates if c.cost == "seconds"]
        for candidate in sorted(cheap, key=self._seconds):
            self._all_folds(candidate)
        dear = self._from_one_source(cheap, [c for c in candidates if c.cost == "minutes"])
        # Last what starts from nothing, by far the worst beside a source (docs/results/adapt.md).
        for candidate in sorted(dear, key=lambda c: (not c.start, self._seconds(c))):
            self._fold(candidate, 0)
        for candidate in self._promising(dear):
            self._all_folds(candidate)
        return [self._contender(c) for c in candidates if self.results.get(c.name)]

    def _seconds(self, candidate: Candidate) -> float:
        return candidate.seconds(len(self.task.pool))

    def _all_folds(self, candidate: Candidate) -> None:
        for fold in range(len(self.task.folds)):
            if not self._fold(candidate, fold):
                break

    def _fold(self, candidate: Candidate, fold: int) -> bool:
        """Run a candidate on a fold unless it is done; False if it does not fit into the time."""
        done = self.results.setdefault(candidate.name, [])
        if any(result.fold == fold for result in done):
            return True
        found = load_result(self.out, candidate.name, fold)
        if found is None:
            expected = self._expected(candidate)
            if self.used + expected > self.seconds and not candidate.is_required:
                self.left_out[candidate.name] = (
                    f"fold {fold + 1}: about {expected:.0f} s more, "
                    f"{max(self.seconds - self.used, 0):.0f} s left"
                )
                return False
            found = self._fit(candidate, fold)
        if found is not None:
            done.append(found)
        return found is not None

    def _expected(self, candidate: Candidate) -> float:
        done = self.results[candidate.name]
        # The first fold compiles, the others mostly find its programs.
        return min((r.seconds for r in done), default=self._seconds(candidate))

    def _fit(self, candidate: Candidate, fold: int) -> FoldResult | None:
        task = self.task
        self.note(f"{candidate.name}, fold {fold + 1} of {len(task.folds)}")
        start = time.perf_counter()
        try:
            with _quiet():
                fitted = candidate.fit(task.pool.select(task.training(fold)), task.seed + fold)
        except TrainingError as error:
            logger.warning("%s: left out: %s", candidate.name, error)
            self.left_out[candidate.name] = str(error)
            return None
        positions = task.folds[fold]
        means, stds = candidate.predict(fitted.part, task.pool.select(positions))
        result = FoldResult(
            candidate=candidate.name,
            fold=fold,
            positions=positions,
            means=means,
            stds=stds,
            seconds=time.perf_counter() - start,
            steps=fitted.steps,
            folder=Path(),
        )
        save_result(self.out, result, fitted.part)
        return load_result(self.out, candidate.name, fold)

    def _from_one_source(
        self, cheap: Sequence[Candidate], dear: Sequence[Candidate]
    ) -> list[Candidate]:
        """Leave out whole networks of all sources but one, by the errors of cheap candidates."""
        best = dict[str, np.ndarray]()
        for candidate in (c for c in cheap if c.start and self.results.get(c.name)):
            errors = self._contender(candidate).errors(self.task.values)
            # NaN, of a candidate that time cut short, is never smaller.
            if errors.mean() < best.get(candidate.start, np.array(np.inf)).mean():
                best[candidate.start] = errors
        if not best:
            return list(dear)
        least = min(best.values(), key=lambda errors: float(errors.mean()))
        chosen = next(name for name, errors in best.items() if not self._is_worse(errors, least))
        for candidate in (c for c in dear if c.start not in ("", chosen)):
            self.left_out[candidate.name] = f"whole networks start from {chosen}"
        return [c for c in dear if c.start in ("", chosen)]

    @staticmethod
    def _is_worse(errors: np.ndarray, others: np.ndarray) -> bool:
        """True if errors of the same crystals are larger in the mean, beyond noise."""
        worse = errors - others
        noise = standard_error(worse, np.arange(len(worse)))
        return bool(worse.mean() > BEYOND_NOISE * noise)

    def _promising(self, candidates: Iterable[Candidate]) -> list[Candidate]:
        """Return the first whole networks that may be the best of all, by the first fold."""
        first, values = self.task.folds[0], self.task.values
        errors = {
            name: np.abs(next(r.means for r in found if r.fold == 0) - values[first])
            for name, found in self.results.items()
            if any(r.fold == 0 for r in found)
        }
        best = min(errors, key=lambda name: errors[name].mean(), default="")
        promising: list[Candidate] = []
        for candidate in (c for c in candidates if c.name in errors):
            if self._is_worse(errors[candidate.name], errors[best]):
                self.left_out[candidate.name] = f"worse than {best} on the first fold"
            elif len(promising) == PROMISING:
                names = " and ".join(c.name for c in promising)
                self.left_out[candidate.name] = f"{names} come first"
            else:
                promising.append(candidate)
        return promising

    def _contender(self, candidate: Candidate) -> Contender:
        found = self.results[candidate.name]
        means, stds = gathered(found, len(self.task.pool))
        return Contender(
            name=candidate.name,
            is_simple=candidate.is_simple,
            means=means,
            stds=stds,
            seconds=sum(r.seconds for r in found),
            steps=sum(r.steps for r in found),
            folds=len(found),
            hidden_std=candidate.hidden_std(means),
            start=candidate.start,
            is_external=isinstance(candidate, External),
        )
