"""Checkpoints of the reference (PyTorch Lightning, `*.ckpt`); the only module that needs torch.

A checkpoint is a pickle in a zip file and untrusted: torch reads it with `weights_only=True`, which
makes only tensors and plain containers. The Lightning classes stored with the weights are listed
below and replaced by empty ones.
"""

import pickle
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cgatjax.config import GraphConfig
from cgatjax.errors import InputError, MismatchError, MissingExtraError
from cgatjax.model.model import Model
from cgatjax.model.normalizer import Normalizer
from cgatjax.reference.weights import (
    config_from_state_dict,
    params_from_state_dict,
    state_dict_from_params,
)
from cgatjax.runtime import reading
from cgatjax.structures import ElementTable, unit_of

EMBEDDING_FILE = "matscholar-embedding.json"
VOLUME_UNIT = "A^3/atom^2"
"""The reference divides the volume by the number of atoms twice (`prepare_data.py`, `data.py`)."""

_LIGHTNING_CLASSES = (
    "argparse.Namespace",
    "pytorch_lightning.callbacks.early_stopping.EarlyStopping",
    "pytorch_lightning.callbacks.lr_monitor.LearningRateMonitor",
    "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",
    "pytorch_lightning.utilities.parsing.AttributeDict",
)


class _Namespace(dict[str, Any]):
    """Inert replacement of a Lightning class that keeps items and attributes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, Mapping):
            self.update(state)


@dataclass(frozen=True, eq=False, kw_only=True)
class Checkpoint:
    """Content of a checkpoint.

    Attributes:
      state_dict: name in the reference -> array, including "mean" and "std".
      options: command line of the reference (`hyper_parameters`), empty if not saved.
    """

    state_dict: dict[str, np.ndarray]
    options: dict[str, Any]


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint of the reference without running code in it.

    Raises:
      MissingExtraError: torch is not installed.
      InputError: no such file, a damaged one, or one with more than weights and plain values.
    """
    content = _loaded(path)
    tensors = content.get("state_dict") if isinstance(content, Mapping) else None
    if not isinstance(tensors, Mapping) or not tensors:
        raise InputError(f"{path}: expected a Lightning checkpoint with a 'state_dict'")
    options = content.get("hyper_parameters") or {}
    if not isinstance(options, Mapping):
        raise InputError(
            f"{path}: expected 'hyper_parameters' as a dictionary, got {options!r:.80}"
        )
    _require_own_memory(path, tensors.values())
    try:
        arrays = {str(name): t.detach().cpu().numpy() for name, t in tensors.items()}
    except (AttributeError, TypeError, RuntimeError) as error:
        raise InputError(f"{path}: expected dense tensors in 'state_dict': {error}") from error
    return Checkpoint(state_dict=arrays, options=dict(options))


def load_checkpoint(
    path: str | Path,
    *,
    target: str | None = None,
    unit: str | None = None,
    element_table: ElementTable | None = None,
) -> Model:
    """Load a model from a checkpoint of the reference, for prediction, evaluation and transfer.

    Weights are float32 as saved. The edge attention, which the reference computes without using it,
    is dropped; `read_checkpoint` and `params_from_state_dict` keep it.

    Args:
      path: the `.ckpt` file.
      target: name of the property; by default the one in the checkpoint.
      unit: unit of the property; by default known by name. A reference model for "volume" predicts
        V/N^2 in A^3/atom^2, not the volume per atom.
      element_table: element vectors, if other than matscholar's.

    Raises:
      MissingExtraError: torch is not installed.
      InputError: the file cannot be used, or lacks information that the message asks for.
      MismatchError: not the weights of a reference network; the message lists all differences.
    """
    checkpoint = read_checkpoint(path)
    options = checkpoint.options
    name = target if target is not None else options.get("target")
    if not isinstance(name, str) or not name:
        raise InputError(f"{path}: expected the name of a target, got none; give target=...")
    table = element_table or _element_table(path, options)
    try:
        config = config_from_state_dict(checkpoint.state_dict, name)
        params = dict(params_from_state_dict(checkpoint.state_dict, config))
    except MismatchError as error:
        raise MismatchError(f"{path}: {error}") from error
    if config.element_dim != table.dim:
        raise MismatchError(
            f"{path}: expected element vectors of {config.element_dim} numbers, "
            f"{table.name!r} has {table.dim}; give element_table=..."
        )
    default_unit = VOLUME_UNIT if options.get("target") == "volume" else unit_of(name)
    return Model(
        config=config,
        params=params,
        graph_config=GraphConfig.released(max_neighbors=config.max_shells),
        element_table=table,
        normalizers={name: _normalizer(path, checkpoint.state_dict)},
        units={name: default_unit if unit is None else unit},
        # `--std-loss` is a store_false flag: False selects the robust loss with a predicted std.
        predicts_std=(name,) if options.get("std_loss") is False else (),
    )


def state_dict_from_model(model: Model) -> dict[str, np.ndarray]:
    """Export a model's weights, mean and std under the names in checkpoints of the reference.

    The unused edge attention of the reference is filled with zeros, which does not change its
    predictions. `torch.save({"state_dict": {n: torch.from_numpy(a) for n, a in ...}}, path)` makes
    a file.

    Raises:
      MismatchError: several targets, or a variant that the reference does not have.
      InputError: the model has no normalizer.
    """
    if model.config.edge_update not in ("shell", "hyper"):
        raise MismatchError(
            "expected a variant that runs in the reference, edge_update 'shell' or 'hyper'; got "
            f"{model.config.edge_update!r}"
        )
    if model.config.message_direction != "center_to_neighbor":
        raise MismatchError(
            "expected message_direction 'center_to_neighbor', the only one of the reference; got "
            f"{model.config.message_direction!r}"
        )
    weights = state_dict_from_params(model.params, model.config)
    target = model.targets[0]
    if target not in model.normalizers:
        raise InputError(f"expected a model with mean and std of {target!r}; train it first")
    scale = model.normalizers[target]
    if scale.known_part:
        raise InputError(
            f"{target!r} is {scale.known_part} + network; the reference has no baselines"
        )
    numbers = {"mean": scale.mean, "std": scale.std}
    head = {name: np.array([value], np.float32) for name, value in numbers.items()}
    return head | {f"model.{name}": value for name, value in weights.items()}


def _loaded(path: str | Path) -> Any:
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError(
            "opening a PyTorch checkpoint needs torch: pip install torch"
        ) from error
    if Path(path).exists() and not Path(path).is_file():
        raise InputError(f"{path}: expected a regular file, not a folder, pipe or device")
    allowed: list[Any] = [(_stand_in(name), name) for name in _LIGHTNING_CLASSES]
    with reading(path, "a checkpoint"):
        _require_uncompressed(path)
        with torch.serialization.safe_globals(allowed), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickles that torch then refuses
            try:
                return torch.load(path, map_location="cpu", weights_only=True)
            except pickle.UnpicklingError as error:  # torch names the forbidden global at the end
                raise InputError(f"cannot be read as a checkpoint: {error!s:.500}") from error


def _require_uncompressed(path: str | Path) -> None:
    """Refuse compressed members, which may expand without limit; torch writes none."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        expanded = sum(member.file_size for member in archive.infolist())
    size = Path(path).stat().st_size
    if expanded > size:
        raise InputError(f"{path}: expected a checkpoint of at most {size} bytes, got {expanded}")


def _require_own_memory(path: str | Path, tensors: Iterable[Any]) -> None:
    """Refuse tensors that present few numbers as a huge array (strides of zero)."""
    size = Path(path).stat().st_size
    claimed = sum(t.numel() * t.element_size() for t in tensors if hasattr(t, "element_size"))
    if claimed > size:
        raise InputError(f"{path}: its tensors claim {claimed} bytes, the file has {size}")


def _stand_in(name: str) -> type[_Namespace]:
    return type(name.rpartition(".")[2], (_Namespace,), {})


def _element_table(path: str | Path, options: Mapping[str, Any]) -> ElementTable:
    file = str(options.get("fea_path", EMBEDDING_FILE)).replace("\\", "/").rpartition("/")[2]
    if file != EMBEDDING_FILE:
        raise InputError(
            f"{path}: trained with the element vectors of {file!r}; give "
            f"element_table=ElementTable.load({file!r})"
        )
    return ElementTable.matscholar()


def _normalizer(path: str | Path, arrays: Mapping[str, np.ndarray]) -> Normalizer:
    try:
        mean, std = (float(np.asarray(arrays[name]).reshape(())) for name in ("mean", "std"))
    except (KeyError, ValueError) as error:
        raise InputError(f"{path}: expected one 'mean' and one 'std': {error!r}") from error
    if not (np.isfinite(mean) and np.isfinite(std) and std > 0):
        raise InputError(
            f"{path}: expected mean and std of a trained model, got mean {mean:g}, std {std:g}"
        )
    return Normalizer(mean=mean, std=std)
