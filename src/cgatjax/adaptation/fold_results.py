"""Results of candidates on folds, as files: an adaptation that was killed continues from them.

candidates/NAME/fold-0/   result.json (seconds, steps), predictions.safetensors, part/ (predicts)
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from cgatjax.adaptation.external import ExternalPart
from cgatjax.inference.adapted import Part
from cgatjax.inference.loading import load_part, part_kind, save_part
from cgatjax.runtime import damage, new_folder, reading, recovered

_RESULT, _PREDICTIONS, _PART = "result.json", "predictions.safetensors", "part"


@dataclass(frozen=True, eq=False, kw_only=True)
class FoldResult:
    """Predictions of a candidate for the validation crystals of a fold.

    Attributes:
      candidate: its name.
      fold: number of the fold.
      positions: (crystals,) in the pool.
      means, stds: (crystals,) in the target's unit.
      seconds: time of fit and predictions.
      steps: optimizer steps on a whole network.
      folder: of the result.
    """

    candidate: str
    fold: int
    positions: np.ndarray
    means: np.ndarray
    stds: np.ndarray
    seconds: float
    steps: int
    folder: Path

    def part(self) -> Part:
        """Load the fitted part.

        Raises:
          InputError: its files are damaged.
        """
        kind = str(json.loads((self.folder / _RESULT).read_text())["kind"])
        return load_part(self.folder / _PART, kind)


def fold_folder(out: Path, candidate: str, fold: int) -> Path:
    """Return the folder of a result."""
    return out / "candidates" / slug(candidate) / f"fold-{fold}"


def slug(name: str) -> str:
    """Turn a name into the name of a folder.

    >>> slug("head of mp-small")
    'head-of-mp-small'
    """
    return re.sub(r"[^A-Za-z0-9._]+", "-", name).strip("-.")


def save_result(out: Path, result: FoldResult, part: Part) -> None:
    """Write a result; all of it or nothing."""
    about: dict[str, Any] = {
        "candidate": result.candidate,
        "seconds": result.seconds,
        "steps": result.steps,
        "kind": "external" if isinstance(part, ExternalPart) else part_kind(part),
    }
    arrays = {"positions": result.positions, "means": result.means, "stds": result.stds}
    with new_folder(fold_folder(out, result.candidate, result.fold)) as folder:
        if not isinstance(part, ExternalPart):
            save_part(folder / _PART, part)
        (folder / _PREDICTIONS).write_bytes(save(arrays))
        (folder / _RESULT).write_text(json.dumps(about, indent=1))


def load_result(out: Path, candidate: str, fold: int) -> FoldResult | None:
    """Read a result; None if there is none, or if its files are damaged (it is repeated then)."""
    folder = recovered(fold_folder(out, candidate, fold))
    if not folder.is_dir() or damage(folder) is not None:
        return None
    with reading(folder, "the result of a candidate", "remove it", SafetensorError):
        about = json.loads((folder / _RESULT).read_text())
        arrays = load_file(folder / _PREDICTIONS)
        return FoldResult(
            candidate=candidate,
            fold=fold,
            seconds=float(about["seconds"]),
            steps=int(about["steps"]),
            folder=folder,
            **arrays,
        )


def gathered(results: Sequence[FoldResult], count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return means and standard deviations (count,) of all folds, NaN where no fold is done."""
    means, stds = np.full(count, np.nan), np.full(count, np.nan)
    for result in results:
        means[result.positions], stds[result.positions] = result.means, result.stds
    return means, stds
