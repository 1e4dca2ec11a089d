"""Embedding cache: crystal embeddings of a frozen encoder, computed once, kept in a folder.

A file is named by a hash of everything that decides its numbers: the encoder's weights and options,
the element table, the store's contents and the crystals taken from it. Another model or another
data set has another name, so that a file is never out of date.
"""

import hashlib
import json
import logging
from pathlib import Path

import jax
import numpy as np

from cgatjax.data.datasets import Crystals
from cgatjax.inference.prediction import embed
from cgatjax.model.model import Model
from cgatjax.runtime import replacing

logger = logging.getLogger("cgatjax")


def cached_embeddings(
    model: Model, data: Crystals, folder: Path | None, shapes_of: Crystals | None = None
) -> np.ndarray:
    """Read embeddings (crystals, `config.embedding_dim`) from the cache, or compute and cache them.

    Without a folder nothing is cached; those of a file are mapped into memory. `shapes_of` as of
    `embed`.
    """
    if folder is None:
        return embed(model, data, shapes_of=shapes_of)
    path = folder / f"{embedding_key(model, data)}.npy"
    found = _read(path, (len(data), model.config.embedding_dim))
    if found is not None:
        return found
    embeddings = embed(model, data, shapes_of=shapes_of)
    if jax.process_index() == 0:
        with replacing(path) as file:
            np.save(file, embeddings)
    return embeddings


def embedding_key(model: Model, data: Crystals) -> str:
    """Hash everything that the embeddings of these crystals depend on: 32 hex digits."""
    options = {
        k: v for k, v in model.config.to_dict().items() if k not in ("targets", "head_widths")
    }
    digest = hashlib.sha256(json.dumps([options, data.digest], sort_keys=True).encode())
    for leaf in jax.tree.leaves((model.params["encoder"], model.element_table.vectors)):
        digest.update(np.ascontiguousarray(leaf).tobytes())
    digest.update(json.dumps(data.ids).encode())
    return digest.hexdigest()[:32]


def _read(path: Path, shape: tuple[int, int]) -> np.ndarray | None:
    if not path.exists():
        return None
    try:
        found = np.load(path, mmap_mode="r")
    except (OSError, ValueError) as error:
        logger.warning("%s: damaged, computed again: %s", path, error)
        return None
    if found.shape != shape:
        logger.warning("%s: damaged, computed again: shape %s", path, found.shape)
        return None
    return found
