"""Publishing of a model: weights in float16, card, self-check, calibrated standard deviations."""

from pathlib import Path
from typing import Any

import jax
import numpy as np

from cgatjax.data.datasets import Crystals
from cgatjax.errors import ConfigError, InputError
from cgatjax.model.model import Model, weights_digest
from cgatjax.model.model_io import halved, write_model
from cgatjax.pretrained.cards import ModelCard
from cgatjax.pretrained.self_check import write_self_check
from cgatjax.runtime import new_folder, require_new


def publish_model(
    path: str | Path, model: Model, card: ModelCard, crystals: Crystals, *, half: bool = True
) -> Model:
    """Write the folder of a model that others load by its path or its address.

    The folder holds the model, its card, and a self-check: some crystals with their predictions,
    which are repeated when the model is first loaded.

    Args:
      path: folder to create.
      model: the trained model.
      card: its card.
      crystals: about ten crystals for the self-check.
      half: store large arrays of weights in float16. They are read as float32.

    Returns:
      The model as it will be loaded.

    Raises:
      RunExistsError: the folder exists.
      InputError: no crystal, or a model that was not trained.
      MismatchError: graphs made with other options than the model's.
    """
    path = Path(path)
    require_new(path)
    if len(crystals) == 0 or set(model.normalizers) != set(model.targets):
        raise InputError("expected a trained model and at least one crystal for its self-check")
    model.check_graphs(crystals, "the crystals of the self-check")
    if half:
        model = model.replace(params=rounded(model.params))
    if model.record is not None:
        stage = {"published": card.name, "weights": weights_digest(model.params)}
        model = model.replace(record=model.record.with_stage(stage))
    with new_folder(path) as folder:
        write_model(folder, model, half=half)
        card.write(folder)
        write_self_check(folder, model, crystals)
    return model


def rounded(params: Any) -> Any:
    """Round large arrays of parameters to float16, as float32; ConfigError if one is too large."""

    def of(leaf: Any) -> np.ndarray:
        with np.errstate(over="ignore"):
            half = halved(np.asarray(leaf))
        if not np.isfinite(half).all():
            raise ConfigError("a parameter exceeds 65504, the range of float16; use half=False")
        return half.astype(np.float32)

    return jax.tree.map(of, params)
