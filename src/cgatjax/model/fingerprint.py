"""Fingerprints of a training's inputs: data, first weights, versions of libraries."""

import hashlib
from importlib.metadata import version
from typing import Any

import jax
import numpy as np

from cgatjax._version import __version__
from cgatjax.data.datasets import Crystals
from cgatjax.model.model import Model


def inputs_of(model: Model, train: Crystals, valid: Crystals) -> dict[str, Any]:
    """Describe the inputs of a run by plain values that can be compared.

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
    """List versions of the computing libraries and the backend: they decide the last bits."""
    found = {name: version(name) for name in ("jax", "jaxlib", "numpy", "optax")}
    return {"cgatjax": __version__, **found, "backend": jax.default_backend()}


def weights_digest(params: Any) -> str:
    """Hash parameters with their names and shapes: 16 hex digits of SHA-256."""
    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        array = np.ascontiguousarray(leaf)
        digest.update(f"{jax.tree_util.keystr(path)} {array.shape} {array.dtype}".encode())
        digest.update(array.data)
    return digest.hexdigest()[:16]


def _describe(data: Crystals, targets: tuple[str, ...]) -> dict[str, Any]:
    """Count the crystals and hash the store with sizes and values of the chosen rows."""
    digest = hashlib.sha256(data.digest.encode())
    digest.update(np.ascontiguousarray(data.sizes, np.int64).data)
    for name in targets:
        digest.update(np.ascontiguousarray(data.target(name), np.float64).data)
    return {"crystals": len(data), "digest": digest.hexdigest()[:16]}
