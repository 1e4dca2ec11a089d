"""Card of a published model: data, licenses, errors, calibration and limits."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from cgatjax.errors import InputError
from cgatjax.pretrained.locations import CARD
from cgatjax.runtime import reading

Errors = Mapping[str, Mapping[str, float]]
"""Target -> {"mae", "rmse", "n"}."""
SHOWN_ELEMENTS = 10
"""Elements with the largest errors that the text names."""
FEWEST = 5
"""Test crystals of an element from which its error is shown."""


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """Data that a model was trained on.

    Attributes:
      name: name of the data set.
      method: level of theory of the values.
      targets: targets that were learned from it.
      crystals: number of training crystals.
      source: origin of structures and values, with the attribution that their license asks for.
      license: license of the data.
      digest: hash of the store.
    """

    name: str
    method: str
    targets: tuple[str, ...]
    crystals: int
    source: str
    license: str
    digest: str


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """Card of a published model; everything but the texts is measured by the code that made it.

    Attributes:
      name: name of the model.
      about: what it is, in a sentence or two.
      license: license of the weights.
      targets: target -> unit.
      parameters: number of weights.
      data: data of the trainings, the first one first.
      split: "train", "valid" and "test" -> number of crystals of the last training.
      split_by: what the crystals of two subsets do not share.
      excluded: formulas that were kept out of all trainings, in words; "" if none.
      errors: test set -> target -> errors in the target's unit.
      by_element: target -> element -> {"mae", "n"} of the test crystals that contain it.
      calibration: target -> numbers of `CalibrationReport` on the test set, and the "factor" on the
        standard deviations, fitted on the validation set, that the weights have in them.
      storage: target -> mean and largest change of a test prediction by float16 weights.
      limits: known limits, a sentence each.
      not_for: uses that the model is not made for, a sentence each.
      made_by: "command", "commit" and versions of libraries that made the model.
    """

    name: str
    about: str
    license: str
    targets: Mapping[str, str]
    parameters: int
    data: tuple[DataSource, ...]
    split: Mapping[str, int]
    split_by: str
    excluded: str = ""
    errors: Mapping[str, Errors] = field(default_factory=dict)
    by_element: Mapping[str, Errors] = field(default_factory=dict)
    calibration: Errors = field(default_factory=dict)
    storage: Errors = field(default_factory=dict)
    limits: tuple[str, ...] = ()
    not_for: tuple[str, ...] = ()
    made_by: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        crystals = sum(source.crystals for source in self.data)
        errors = [
            f"{target} {own['mae']:.4g} {self.targets[target]}"
            for target, own in next(iter(self.errors.values()), {}).items()
        ]
        tested = f"; test MAE: {', '.join(errors)}" if errors else ""
        return (
            f"ModelCard({self.name}: {self.parameters:,} parameters, trained on {crystals:,} "
            f"crystals{tested})"
        )

    def write(self, folder: Path) -> None:
        """Write the card into the open folder of a model."""
        (folder / CARD).write_text(json.dumps(asdict(self), indent=1))

    @classmethod
    def read(cls, folder: Path) -> "ModelCard":
        """Read the card of a model's folder.

        Raises:
          InputError: there is none, or it is damaged.
        """
        with reading(folder / CARD, "the card of a model", "install or download it again"):
            content: dict[str, Any] = json.loads((folder / CARD).read_text())
            if unknown := sorted(set(content) - {entry.name for entry in fields(cls)}):
                raise InputError(f"unknown entries {unknown}")
            content["data"] = tuple(
                DataSource(**{**source, "targets": tuple(source["targets"])})
                for source in content["data"]
            )
            for name in ("limits", "not_for"):
                content[name] = tuple(content[name])
            card = cls(**content)
            # A text of every entry, so that a malformed one is found here.
            repr(card), card.text()
            return card

    def text(self) -> str:
        """Return the card as Markdown."""
        sections = [
            f"# {self.name}",
            self.about,
            f"{self.parameters:,} parameters. License of the weights: {self.license}.",
            self._data(),
            *self._errors(),
            *self._elements(),
            *self._calibration(),
            *self._storage(),
            *_listed("Limits", self.limits),
            *_listed("Not to be used for", self.not_for),
            "\n".join(["## Made by", "", *(f"- {k}: {v}" for k, v in self.made_by.items())]),
        ]
        return "\n\n".join(sections) + "\n"

    def _data(self) -> str:
        rows = [
            (s.name, s.method, ", ".join(s.targets), f"{s.crystals:,}", s.license)
            for s in self.data
        ]
        origins = [f"- {s.name}: {s.source} Store {s.digest[:16]}." for s in self.data]
        counts = ", ".join(f"{n:,} {subset}" for subset, n in self.split.items())
        kept_out = f" Kept out of all trainings: {self.excluded}." if self.excluded else ""
        return "\n".join(
            [
                "## Data",
                "",
                _table(("data", "method", "targets", "training crystals", "license"), rows),
                "",
                *origins,
                "",
                f"Last training: {counts}; no {self.split_by} is in two of them.{kept_out}",
            ]
        )

    def _errors(self) -> list[str]:
        rows = [
            (test, target, self.targets[target], _short(own["mae"]), _short(own["rmse"]), own["n"])
            for test, errors in self.errors.items()
            for target, own in errors.items()
        ]
        header = ("test crystals", "property", "unit", "MAE", "RMSE", "n")
        return _tabulated("Errors", header, rows)

    def _elements(self) -> list[str]:
        lines = []
        for target, errors in self.by_element.items():
            frequent = {k: e for k, e in errors.items() if e["n"] >= FEWEST}
            worst = sorted(frequent, key=lambda k: -frequent[k]["mae"])[:SHOWN_ELEMENTS]
            named = ", ".join(
                f"{k} {_short(frequent[k]['mae'])} ({frequent[k]['n']})" for k in worst
            )
            lines.append(f"- {target}, {self.targets[target]}: {named}")
        head = f"Largest mean absolute errors of test crystals with an element (at least {FEWEST}):"
        return ["\n".join(["## Errors by element", "", head, "", *lines])] if lines else []

    def _calibration(self) -> list[str]:
        rows = [
            (target, self.targets[target], *(_short(own[name]) for name in _CALIBRATION))
            for target, own in self.calibration.items()
        ]
        header = ("property", "unit", *_CALIBRATION.values())
        text = "Multiplied by a factor that was fitted on the validation set; measured on the test"
        return _tabulated("Standard deviations", header, rows, f"{text} set.")

    def _storage(self) -> list[str]:
        rows = [
            (target, self.targets[target], _short(own["mean"]), _short(own["largest"]))
            for target, own in self.storage.items()
        ]
        header = ("property", "unit", "mean change", "largest change")
        text = "Change of test predictions by storing the weights in float16:"
        return _tabulated("Storage", header, rows, text)


_CALIBRATION = {
    "factor": "factor",
    "nll": "NLL",
    "area": "miscalibration area",
    "sharpness": "sharpness",
    "spearman": "rank correlation",
    "n": "n",
}
"""Numbers of the calibration -> columns."""


def _short(value: float) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _tabulated(
    title: str, header: Sequence[str], rows: Sequence[Sequence[Any]], text: str = ""
) -> list[str]:
    return ["\n\n".join(filter(None, [f"## {title}", text, _table(header, rows)]))] if rows else []


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _listed(title: str, sentences: Sequence[str]) -> list[str]:
    return (
        ["\n".join([f"## {title}", "", *(f"- {line}" for line in sentences)])] if sentences else []
    )
