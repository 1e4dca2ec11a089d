"""Files of Gaussian processes and calibration factors, tied to the weights of their run.

gaussian_process/   process.safetensors, process.json, manifest.json    of `fit-gp`
calibration.json    factors on standard deviations                       of `calibrate`
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from cgatjax.errors import InputError, MismatchError
from cgatjax.inference.gaussian_process import Process, SparseGP
from cgatjax.runtime import damage, new_folder, reading, recovered, write_durably

GAUSSIAN_PROCESS = "gaussian_process"
CALIBRATION = "calibration.json"
_TENSORS, _DESCRIPTION = "process.safetensors", "process.json"


@dataclass(frozen=True, kw_only=True)
class Rescaling:
    """Calibration factor on the standard deviations of one property, fitted on n held-out crystals.

    It is above 1 where they were too small; `data` describes the crystals.
    """

    factor: float
    n: int
    data: str

    def __post_init__(self) -> None:
        """Raise InputError unless the factor is a positive number."""
        if not (isinstance(self.factor, float) and 0 < self.factor < float("inf")):
            raise InputError(f"calibration: expected a positive factor, got {self.factor!r:.80}")


Rescalings = Mapping[str, Mapping[str, Rescaling]]
"""Kind of uncertainty -> target -> factor."""


def save_processes(run: str | Path, processes: Mapping[str, SparseGP], weights: str) -> None:
    """Write the Gaussian processes of a run's targets, replacing earlier ones.

    `weights` is the digest of the weights whose embeddings they read.
    """
    tensors: dict[str, np.ndarray] = {}
    described: dict[str, Any] = {}
    for number, (target, gp) in enumerate(processes.items()):
        arrays = {**gp.process._asdict(), "x_mean": gp.x_mean, "x_std": gp.x_std}
        tensors |= {f"{number}/{k}": np.array(v, np.float64) for k, v in arrays.items()}
        described[target] = {"kernel": gp.kernel, "n": gp.n, "y": [gp.y_mean, gp.y_std]}
    with new_folder(Path(run) / GAUSSIAN_PROCESS) as folder:
        (folder / _TENSORS).write_bytes(save(tensors))
        content = {"weights": weights, "processes": described}
        (folder / _DESCRIPTION).write_text(json.dumps(content, indent=1))


def load_processes(run: str | Path, weights: str) -> dict[str, SparseGP]:
    """Read the Gaussian processes of a run's targets; an empty dictionary if there are none.

    InputError if a file is damaged, MismatchError if the run has other weights now.
    """
    folder = recovered(Path(run) / GAUSSIAN_PROCESS)
    if not folder.is_dir():
        return {}
    if (fault := damage(folder)) is not None:
        raise InputError(f"{folder}: {fault}; fit the Gaussian process again")
    with reading(folder, "a Gaussian process", "fit it again", SafetensorError):
        found = json.loads((folder / _DESCRIPTION).read_text())
        tensors = load_file(folder / _TENSORS)
        digest, described = found["weights"], found["processes"]
        processes = {
            target: _process(number, about, tensors)
            for number, (target, about) in enumerate(described.items())
        }
    if digest != weights:
        raise MismatchError(f"{folder}: belongs to other weights than the run's; fit it again")
    return processes


def save_rescalings(run: str | Path, rescalings: Rescalings, weights: str) -> None:
    """Write the calibration factors of a run; earlier ones are replaced."""
    plain = {k: {t: asdict(r) for t, r in by_target.items()} for k, by_target in rescalings.items()}
    content = {"weights": weights, "factors": plain}
    write_durably(Path(run) / CALIBRATION, json.dumps(content, indent=1).encode())


def load_rescalings(run: str | Path, weights: str) -> dict[str, dict[str, Rescaling]]:
    """Read the calibration factors of a run; an empty dictionary if there are none.

    InputError if the file is damaged, MismatchError if the run has other weights now.
    """
    file = Path(run) / CALIBRATION
    if not file.is_file():
        return {}
    with reading(file, "a calibration", "calibrate again"):
        found = json.loads(file.read_text())
        digest, factors = found["weights"], found["factors"]
        rescalings = {
            kind: {t: Rescaling(**plain) for t, plain in by_target.items()}
            for kind, by_target in factors.items()
        }
    if digest != weights:
        raise MismatchError(
            f"{file}: belongs to other weights than the run's; calibrate again, or remove it"
        )
    return rescalings


def _process(number: int, about: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> SparseGP:
    own = {name: tensors[f"{number}/{name}"] for name in (*Process._fields, "x_mean", "x_std")}
    y_mean, y_std = (float(value) for value in about["y"])
    return SparseGP(
        kernel=about["kernel"],
        process=Process(*(own[name] for name in Process._fields)),
        x_mean=own["x_mean"],
        x_std=own["x_std"],
        y_mean=y_mean,
        y_std=y_std,
        n=int(about["n"]),
    )
