"""Models whose prediction is the baseline of another model's target."""

import numpy as np

from cgatjax.model.fingerprint import weights_digest
from cgatjax.model.model import Model


def make_source(model: Model, target: str) -> Model:
    """Return a model with one of its heads alone, to be the baseline of another model."""
    kept = {
        "normalizers": {target: model.normalizers[target]},
        "units": {target: model.units.get(target, "")},
        "sources": {t: source for t, source in model.sources.items() if t == target},
    }
    heads = {target: model.params["heads"][target]}
    return model.replace(
        config=model.config.replace(targets=(target,)),
        params={**model.params, "heads": heads},
        predicts_std=(),
        record=None,
        **kept,
    )


def source_origin(model: Model) -> str:
    """Describe a model that is a baseline, with a hash of its weights."""
    scale = model.normalizers[model.targets[0]]
    digest = weights_digest({"params": model.params, "scale": np.array([scale.mean, scale.std])})
    return f"prediction of {model.targets[0]} by a model with the hash {digest}"
