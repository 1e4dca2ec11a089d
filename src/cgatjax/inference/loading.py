"""Loading of predictors from run folders, of single models and of ensembles.

ensemble.json   number of members, and their seeds    members/0, members/1, …   a run folder each
split.json, data.json   as of a single run; all members share the split
"""

import json
from collections.abc import Sequence
from pathlib import Path

from cgatjax.errors import InputError
from cgatjax.inference.adapted_io import adapted_folder, load_adapted
from cgatjax.inference.predictor import Predictor, Uncertainty
from cgatjax.inference.uncertainty_io import load_processes, load_rescalings
from cgatjax.model.fingerprint import weights_digest
from cgatjax.model.model import Model
from cgatjax.model.model_io import read_model
from cgatjax.runs.run_folder import ENSEMBLE, MEMBERS


def is_ensemble(path: str | Path) -> bool:
    """True if a folder is the run of an ensemble."""
    return (Path(path) / ENSEMBLE).is_file()


def describe_ensemble(seeds: Sequence[int]) -> dict[str, list[int]]:
    """Make the content of `ensemble.json`: the seed of each member, in folder order."""
    return {"seeds": list(seeds)}


def member_seeds(path: str | Path) -> list[int]:
    """Read the seeds of the members of an ensemble's run.

    Raises:
      InputError: the record of the ensemble is damaged.
    """
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
    """List the run folders of an ensemble's members, or the folder itself for a single model.

    Raises:
      InputError: the record of the ensemble is damaged.
    """
    path = Path(path)
    if not is_ensemble(path):
        return [path]
    return [path / MEMBERS / str(number) for number in range(len(member_seeds(path)))]


def read_predictor(path: str | Path, uncertainty: Uncertainty | None = None) -> Predictor:
    """Load the predictor of a run or model folder: one model, or all members of an ensemble.

    Args:
      path: folder of a run, of an ensemble's run, or of a model.
      uncertainty: kind of standard deviation; by default the first of "ensemble" and "aleatoric"
        that the run has. "gp", a fitted Gaussian process, is used on request only.

    Raises:
      InputError: there is no model, or a file of it is damaged; a member has no model yet.
      MismatchError: members that do not fit together, or a Gaussian process or calibration that
        belongs to other weights.
      ConfigError: the run does not have this kind of uncertainty.
    """
    if (adapted := adapted_folder(path)) is not None:
        return Predictor.of(load_adapted(adapted, read_predictor), uncertainty)
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
