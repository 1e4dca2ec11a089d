"""Loading of predictors: of single models, of ensembles, and of the result of `cgatjax adapt`.

ensemble.json         number of members, and their seeds
members/0, ...        a run folder each; all members share split.json and data.json

adapted.json          the ways of an adapted predictor, the law of the standard deviation, versions
domain.safetensors    training crystals in embedding space
parts/0, parts/1, …   a run folder of a network, of an ensemble, or of a network with its Gaussian
                      process; or a network and the training table of a simple model
manifest.json         sizes and SHA-256 of all files

Trees are not stored: formats for them can run code (pickles), or are bound to a version of
scikit-learn. The table that they were fitted to is, and the fit is repeated in a second or two.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from cgatjax.errors import ConfigError, InputError
from cgatjax.inference.adapted import AdaptedPredictor, Part, SimplePart
from cgatjax.inference.domain import Domain
from cgatjax.inference.error_model import ErrorModel
from cgatjax.inference.predictor import Predictor, Uncertainty
from cgatjax.inference.uncertainty_io import load_processes, load_rescalings, save_processes
from cgatjax.model.model import Model, weights_digest
from cgatjax.model.model_io import read_model, save_model
from cgatjax.runs.run_folder import ENSEMBLE, MEMBERS
from cgatjax.runtime import damage, new_folder, reading, recovered


def is_ensemble(path: str | Path) -> bool:
    """True if a folder is the run of an ensemble."""
    return (Path(path) / ENSEMBLE).is_file()


def describe_ensemble(seeds: Sequence[int]) -> dict[str, list[int]]:
    """Make the content of `ensemble.json`: the seed of each member, in folder order."""
    return {"seeds": list(seeds)}


def member_seeds(path: str | Path) -> list[int]:
    """Read the seeds of the members of an ensemble's run; InputError if its record is damaged."""
    file = Path(path) / ENSEMBLE
    try:
        seeds = json.loads(file.read_text())["seeds"]
        found = [int(seed) for seed in seeds]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(f"{file}: expected the seeds of an ensemble: {error!r:.200}") from error
    if not found:
        raise InputError(f"{file}: expected the seed of at least one member, got none")
    return found


def member_folders(path: str | Path) -> list[Path]:
    """List the run folders of an ensemble's members, or the folder itself for a single model."""
    path = Path(path)
    if not is_ensemble(path):
        return [path]
    return [path / MEMBERS / str(number) for number in range(len(member_seeds(path)))]


def read_predictor(path: str | Path, uncertainty: Uncertainty | None = None) -> Predictor:
    """Load the predictor of a run or model folder: one model, or all members of an ensemble.

    The standard deviation is by default the first of "ensemble" and "aleatoric" that the run has;
    "gp", a fitted Gaussian process, is used on request only.

    Raises:
      InputError: there is no model, or a file of it is damaged; a member has no model yet.
      MismatchError: members that do not fit together, or a Gaussian process or calibration that
        belongs to other weights.
      ConfigError: the run does not have this kind of uncertainty.
    """
    if (adapted := adapted_folder(path)) is not None:
        return Predictor.of(load_adapted(adapted), uncertainty)
    folders = member_folders(path)
    if is_ensemble(path):
        untrained = [f for f in folders if not (f / "model").is_dir()]
        if untrained:
            names = ", ".join(f.name for f in untrained)
            raise InputError(
                f"{path}: {len(untrained)} of {len(folders)} members have no model yet ({names}); "
                "finish the training with --resume"
            )
    members = [read_model(folder) for folder in folders]
    weights = digest_of(members)
    return Predictor.of(
        members, uncertainty, load_processes(path, weights), load_rescalings(path, weights)
    )


def digest_of(members: Sequence[Model]) -> str:
    """Hash the weights that a Gaussian process or a calibration belongs to."""
    return weights_digest([member.params for member in members])


logger = logging.getLogger("cgatjax")
ADAPTED = "adapted.json"
FORMAT = 2
_DOMAIN, _TABLE, _ABOUT = "domain.safetensors", "simple.safetensors", "simple.json"
_REPEATED = 1e-6
"""Largest difference of a repeated fit, as a fraction of the standard deviation of the values."""


def save_adapted(path: str | Path, predictor: AdaptedPredictor) -> None:
    """Write the folder of an adapted predictor; an earlier one is replaced."""
    domain = predictor.domain
    described = {
        "format": FORMAT,
        "parts": [
            {"name": name, "weight": weight, "kind": part_kind(part)}
            for part, (name, weight) in zip(predictor.parts, predictor.weights.items(), strict=True)
        ],
        "errors": None if predictor.errors is None else asdict(predictor.errors),
        "threshold": domain.threshold,
    }
    with new_folder(path) as folder:
        for number, part in enumerate(predictor.parts):
            save_part(folder / "parts" / str(number), part)
        arrays = {"points": domain.points, "center": domain.center, "scale": domain.scale}
        (folder / _DOMAIN).write_bytes(save(arrays))
        (folder / ADAPTED).write_text(json.dumps(described, indent=1))


def load_adapted(path: str | Path) -> AdaptedPredictor:
    """Read the folder of an adapted predictor; InputError if a file is missing or damaged."""
    folder = recovered(path)
    if (fault := damage(folder)) is not None:
        raise InputError(f"{path}: {fault}; copy the folder again, or repeat `cgatjax adapt`")
    with reading(folder, "an adapted model", "repeat `cgatjax adapt`", SafetensorError):
        described = json.loads((folder / ADAPTED).read_text())
        if described["format"] != FORMAT:
            found = described["format"]
            raise InputError(f"format {found!r:.80}, this version reads {FORMAT}")
        parts = [
            load_part(folder / "parts" / str(number), str(about["kind"]))
            for number, about in enumerate(described["parts"])
        ]
        errors = described["errors"]
        arrays = load_file(folder / _DOMAIN)
        return AdaptedPredictor.of_parts(
            parts,
            {str(about["name"]): float(about["weight"]) for about in described["parts"]},
            None if errors is None else ErrorModel(**errors),
            Domain(threshold=float(described["threshold"]), **arrays),
        )


def adapted_folder(path: str | Path) -> Path | None:
    """Return the folder of the adapted predictor that a path is or holds as `model/`, or None."""
    for folder in (recovered(path), recovered(Path(path) / "model")):
        if (folder / ADAPTED).is_file():
            return folder
    return None


def save_part(folder: Path, part: Part) -> None:
    """Write one way to predict into a folder."""
    if isinstance(part, SimplePart):
        save_model(folder / "model", part.model)
        arrays = {"fractions": part.fractions, "offset": part.offset, "values": part.values}
        about = {
            "name": part.name,
            "seed": part.seed,
            "on_network": part.on_network,
            "scikit-learn": version("scikit-learn"),
        }
        arrays["fitted"] = part.training_predictions()
        (folder / _TABLE).write_bytes(save({k: np.ascontiguousarray(v) for k, v in arrays.items()}))
        (folder / _ABOUT).write_text(json.dumps(about, indent=1))
        return
    if not isinstance(part, Predictor):
        raise ConfigError(f"expected a predictor to write, got {type(part).__name__}")
    if len(part.members) == 1:
        save_model(folder / "model", part.model)
    else:
        for number, member in enumerate(part.members):
            save_model(folder / MEMBERS / str(number) / "model", member)
        (folder / ENSEMBLE).write_text(json.dumps({"seeds": list(range(len(part.members)))}))
    if part.processes:
        digest = weights_digest([member.params for member in part.members])
        save_processes(folder, part.processes, digest)


def load_part(folder: Path, kind: str) -> Part:
    """Read one way to predict; InputError if a file is damaged, or the kind is unknown."""
    if kind in ("networks", "process"):
        return read_predictor(folder, "gp" if kind == "process" else None)
    if kind != "simple":
        raise InputError(f"expected a part of kind networks, process or simple, got {kind!r:.80}")
    about: Mapping[str, Any] = json.loads((folder / _ABOUT).read_text())
    tensors = load_file(folder / _TABLE)
    part = SimplePart(
        model=read_model(folder),
        name=about["name"],
        seed=int(about["seed"]),
        on_network=bool(about["on_network"]),
        fractions=tensors["fractions"],
        offset=tensors["offset"],
        values=tensors["values"],
    )
    difference = np.abs(part.training_predictions() - tensors["fitted"]).max()
    change = float(difference / (part.values.std() or 1.0))
    if change > _REPEATED:
        logger.warning(
            "%s: the repeated fit of %s differs by %.2g standard deviations of the values (it was "
            "made with scikit-learn %s, this is %s)",
            folder,
            part.name,
            change,
            about["scikit-learn"],
            version("scikit-learn"),
        )
    return part


def part_kind(part: Part) -> str:
    """Name the kind of a part for `load_part`: "networks", "process" or "simple"."""
    if isinstance(part, SimplePart):
        return "simple"
    return "process" if isinstance(part, Predictor) and part.uncertainty == "gp" else "networks"
