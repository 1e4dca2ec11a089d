"""What decides the outcome of a training besides its options: data, first weights, libraries."""

import hashlib
from importlib.metadata import version
from typing import Any

import jax
import numpy as np

from cgatjax._version import __version__
from cgatjax.data.datasets import Crystals
from cgatjax.models.model import Model


def inputs_of(model: Model, train: Crystals, valid: Crystals) -> dict[str, Any]:
    """The record of a run's inputs, plain values that can be compared.

    Args:
      model: before training, with its normalizers.
      train: the training set.
      valid: the validation set.
    """
    return {
        "train": _describe(train, model.targets),
        "valid": _describe(valid, model.targets),
        "normalizers": {t: [n.mean, n.std] for t, n in sorted(model.normalizers.items())},
        "weights": weights_digest(model.params),
    }


def versions() -> dict[str, str]:
    """The libraries that compute, and the kind of device: with others the last bits may differ."""
    found = {name: version(name) for name in ("jax", "jaxlib", "numpy", "optax")}
    return {"cgatjax": __version__, **found, "backend": jax.default_backend()}


def weights_digest(params: Any) -> str:
    """First 16 hex digits of the SHA-256 of parameters with their names and shapes."""
    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        array = np.ascontiguousarray(leaf)
        digest.update(f"{jax.tree_util.keystr(path)} {array.shape} {array.dtype}".encode())
        digest.update(array.data)
    return digest.hexdigest()[:16]


def _describe(data: Crystals, targets: tuple[str, ...]) -> dict[str, Any]:
    """Number of crystals, and a hash of the store with sizes and values of the chosen rows."""
    digest = hashlib.sha256(data.digest.encode())
    digest.update(np.ascontiguousarray(data.sizes, np.int64).data)
    for name in targets:
        digest.update(np.ascontiguousarray(data.target(name), np.float64).data)
    return {"crystals": len(data), "digest": digest.hexdigest()[:16]}
