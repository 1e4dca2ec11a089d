"""Self-check of a published model: some crystals' graphs with the predictions that belong to them.

A change of the code or of a library may change what weights mean. Loading a published model
therefore repeats the predictions, once for each file and version, and refuses a model whose numbers
are not those of its authors.
"""

import functools
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save

from cgatjax.data.datasets import Crystals
from cgatjax.data.graph_list import GraphList
from cgatjax.errors import InputError, MismatchError, StorageError
from cgatjax.graphs.crystal_graph import EDGE_COLUMNS, NODE_COLUMNS
from cgatjax.graphs.graph_arrays import GraphArrays, separate
from cgatjax.inference.prediction import BatchRunner
from cgatjax.inference.predictor import Predictor
from cgatjax.model.model import Model, versions, weights_digest
from cgatjax.model.model_io import read_model
from cgatjax.pretrained.locations import SELF_CHECK
from cgatjax.runtime import MANIFEST, reading, write_durably
from cgatjax.runtime.user_cache import is_off, user_cache
from cgatjax.structures import SYMBOLS

TOLERANCE = 1e-3
"""Largest difference, in standard deviations of the target: float32 sums in another order differ by
1e-5, a changed function by far more."""
_COLUMNS = ("n_node", "n_edge", *NODE_COLUMNS, *EDGE_COLUMNS)


class SelfCheck(NamedTuple):
    """Content of the file of a self-check.

    Predictions are target -> (crystals, 2) means and standard deviations; the tolerance is in
    standard deviations of the target.
    """

    graphs: GraphArrays
    predictions: Mapping[str, np.ndarray]
    weights: str
    tolerance: float
    versions: Mapping[str, str]


class Checked(NamedTuple):
    """Result of a self-check; difference and tolerance are in standard deviations of the target."""

    crystals: int
    difference: float
    tolerance: float
    made_with: Mapping[str, str]


def write_self_check(folder: Path, model: Model, crystals: Crystals) -> None:
    """Write reduced graphs and predictions of a model, as it is read, into its open folder."""
    arrays = crystals.take(np.arange(len(crystals)))
    tensors = {name: np.ascontiguousarray(getattr(arrays, name)) for name in _COLUMNS}
    for target, pair in _predictions(model, arrays).items():
        tensors[f"predictions/{target}"] = pair
    about = {
        "weights": weights_digest(model.params),
        "tolerance": repr(TOLERANCE),
        "versions": json.dumps(versions()),
    }
    (folder / SELF_CHECK).write_bytes(save(tensors, about))


def verify_once(folder: Path) -> None:
    """Verify a model unless that was done before, with the same files and versions.

    Folders without a self-check are left alone.
    """
    if not (folder / SELF_CHECK).is_file() or not (folder / MANIFEST).is_file():
        return
    content = (folder / MANIFEST).read_bytes() + json.dumps(versions()).encode()
    _verify_new(folder, hashlib.sha256(content).hexdigest())


@functools.lru_cache(maxsize=64)
def _verify_new(folder: Path, key: str) -> None:
    """Verify a model unless a file in the user's cache says that it was done."""
    stamp = user_cache("verified") / key
    if not is_off() and stamp.exists():
        return
    verify(folder)
    if not is_off():
        try:
            stamp.parent.mkdir(parents=True, exist_ok=True)
            write_durably(stamp, f"{folder}\n".encode())
        except (OSError, StorageError):
            return


def verify(folder: Path) -> Checked:
    """Repeat the predictions of a model's self-check.

    Raises:
      InputError: the folder has no self-check, or a file is damaged.
      MismatchError: other weights or other predictions than the authors'; names the versions.
    """
    file = folder / SELF_CHECK
    if not file.is_file():
        raise InputError(f"{folder}: has no {SELF_CHECK}, so that it cannot be verified")
    model = read_model(folder)
    stored = read_self_check(folder, model)
    advice = (
        f"made with {_listed(stored.versions)}; here {_listed(versions())}. Do not use its "
        "predictions: install it again, or the versions it was made with"
    )
    if weights_digest(model.params) != stored.weights:
        raise MismatchError(f"{folder}: the weights are not those of the self-check; {advice}")
    tolerance = stored.tolerance
    largest = 0.0
    for target, found in _predictions(model, stored.graphs).items():
        scale, wanted = model.normalizers[target].std, stored.predictions[target]
        differences = np.abs(found - wanted) / scale
        # NaN, a standard deviation that the model does not have, must be NaN again.
        differences[np.isnan(found) & np.isnan(wanted)] = 0
        worst = int(np.argmax(np.nan_to_num(differences, nan=np.inf).max(1)))
        if not (differences <= tolerance).all():
            raise MismatchError(
                f"{folder}: the self-check failed: {target} of its crystal {worst} is "
                f"{found[worst, 0]:.6g} +- {found[worst, 1]:.6g}, expected {wanted[worst, 0]:.6g} "
                f"+- {wanted[worst, 1]:.6g} (tolerance {tolerance:g} x {scale:.4g}); {advice}"
            )
        largest = max(largest, float(differences.max()))
    return Checked(len(stored.graphs.n_node), largest, tolerance, stored.versions)


def read_self_check(folder: Path, model: Model) -> SelfCheck:
    """Read the self-check of a model; InputError if the file is damaged."""
    file = folder / SELF_CHECK
    with reading(file, "a self-check", "install or download the model again", SafetensorError):
        with safe_open(file, "numpy") as opened:
            about: dict[str, str] = opened.metadata()
        tensors, made_with = load_file(file), json.loads(about["versions"])
        columns: dict[str, Any] = {name: tensors[name] for name in _COLUMNS}
        stored = SelfCheck(
            graphs=GraphArrays(**columns),
            predictions={t: tensors[f"predictions/{t}"].astype(np.float64) for t in model.targets},
            weights=about["weights"],
            tolerance=float(about["tolerance"]),
            versions={str(name): str(version) for name, version in made_with.items()},
        )
        if not _is_sound(stored):
            raise InputError("expected graphs with a mean and a standard deviation of each target")
        return stored


def _is_sound(stored: SelfCheck) -> bool:
    """True if graphs and predictions fit together, so that they can be compared."""
    graphs = stored.graphs
    columns = [getattr(graphs, name) for name in _COLUMNS]
    if any(c.ndim != 1 or c.dtype.kind not in "iu" or (len(c) and c.min() < 0) for c in columns):
        return False
    nodes, edges, n = graphs.n_node.sum(), graphs.n_edge.sum(), len(graphs.n_node)
    lengths = {len(getattr(graphs, name)) for name in NODE_COLUMNS} - {nodes}
    lengths |= {len(getattr(graphs, name)) for name in EDGE_COLUMNS} - {edges}
    if n == 0 or lengths or len(graphs.n_edge) != n or min(graphs.n_node.min(), nodes) < 1:
        return False
    limit = np.repeat(graphs.n_node, graphs.n_edge)
    ends = (graphs.edge_center < limit).all() and (graphs.edge_neighbor < limit).all()
    is_element = graphs.atomic_numbers.max() < len(SYMBOLS)
    return bool(
        ends
        and is_element
        and graphs.weight_denominator.min(initial=1) > 0
        and stored.tolerance > 0
        and all(values.shape == (n, 2) for values in stored.predictions.values())
    )


def _predictions(model: Model, arrays: GraphArrays) -> dict[str, np.ndarray]:
    """Compute target -> (crystals, 2) means and standard deviations, in true float32."""
    predictor = Predictor.of(model.replace(config=model.config.replace(precision="float32")))
    # The networks are checked: baselines, which graphs do not have, count as zero.
    separated = list(separate(arrays))
    zeros = dict.fromkeys(predictor.properties, np.zeros(len(separated)))
    graphs = GraphList(separated, model.graph_config, zeros)
    outputs = BatchRunner(predictor.passes, len(graphs))(graphs)
    return {t: np.stack(predictor.moments(t, outputs, graphs), 1) for t in model.targets}


def _listed(found: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in found.items())
