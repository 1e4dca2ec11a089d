"""Evaluation of a pre-trained model on held-out crystals, its card, and its published folder."""

import dataclasses
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import cgatjax as cg
from cgatjax.inference.calibration import known_errors
from cgatjax.model.metrics import errors_of
from cgatjax.pretrained.publishing import rounded

Sets = tuple[cg.Dataset, cg.Dataset, cg.Dataset]
CHECKED = 8
"""Test crystals of the self-check."""
FACTS: dict[str, dict[str, str]] = {
    "pbe": {
        "name": "Materials Project, PBE",
        "method": "DFT, PBE (GGA and GGA+U)",
        "source": (
            "formation energies and band gaps of the MEGNet benchmark (Materials Project, version "
            "of 2018-06-01) in the jarvis_leaderboard of NIST; distances to the hull from these "
            "energies by linear programming; structures of topology_databases and others. The "
            "Materials Project: Jain et al., APL Mater. 1, 011002 (2013); MEGNet: Chen et al., "
            "Chem. Mater. 31, 3564 (2019)."
        ),
        "license": "CC-BY-4.0",
    },
    "pbe_clean": {
        "name": "Materials Project, PBE of another version",
        "method": "DFT, PBE (GGA and GGA+U), energies with other corrections",
        "source": (
            "structures, formation energies and band gaps of the data sets MP-20 (Xie et al., "
            "arXiv:2110.06197) and MPTS-52 in WyckoffTransformer. The Materials Project: Jain et "
            "al., APL Mater. 1, 011002 (2013)."
        ),
        "license": "CC-BY-4.0; Apache-2.0",
    },
    "chgnet": {
        "name": "Materials Project, CHGNet",
        "method": "universal potential CHGNet 0.3.0 at PBE geometries",
        "source": (
            "structures of the Materials Project in topology_databases (CC-BY-4.0); energies "
            "computed with CHGNet (BSD): Deng et al., Nat. Mach. Intell. 5, 1031 (2023)."
        ),
        "license": "CC-BY-4.0; BSD-3-Clause",
    },
    "decorated": {
        "name": "decorated crystals, CHGNet",
        "method": "universal potential CHGNet 0.3.0 at its best volume",
        "source": (
            "other elements on the sites of cubic crystals of the Materials Project in "
            "topology_databases (CC-BY-4.0), which nobody has computed, most of them unstable; "
            "energies computed with CHGNet (BSD): Deng et al., Nat. Mach. Intell. 5, 1031 (2023)."
        ),
        "license": "CC-BY-4.0; BSD-3-Clause",
    },
}
"""Store of a stage -> facts of its data."""
LIMITS = (
    "The network sees the elements and the order of neighbors, but no distances: the prediction is "
    "that of the relaxed crystal, whatever the volume of the given cell.",
    "Values of DFT are those of crystals close to their ground state, of two elements or more and "
    "at most 40 sites; compounds of noble gases are rare.",
    "Labels are those of one version of the Materials Project, GGA and GGA+U mixed; those of other "
    "versions differ by 10 to 20 meV/atom in the median.",
    "Band gaps are PBE gaps, which are too small; the gap of most training crystals is 0.",
    "Errors were measured on crystals of the same origin as the training crystals; those of other "
    "kinds of crystals may be larger.",
)
NOT_FOR = (
    "Forces, stresses, relaxations, or energies of distorted or compressed crystals.",
    "The order of polymorphs whose predicted energies differ by less than the error.",
    "Claims of stability without a calculation: use predictions to choose what to compute.",
    "Crystals with elements that `predict` reports as never seen.",
    "Comparisons on test sets of the Materials Project, unless `--exclude-seen` removed its "
    "training crystals.",
)

EXCLUDED = {
    "exclude": "the formulas of the validation and test sets of",
    "exclude_whole": "all formulas of",
}
"""Option of the recipe -> what it keeps out of the named stores, in words."""
ALSO = "also"
"""Option of the recipe that names further stores to learn."""


def publish_with_report(
    path: Path,
    model: cg.Model,
    sets: Mapping[str, Sets],
    learned: Mapping[str, tuple[str, ...]],
    *,
    license_name: str,
    recipe: Mapping[str, Any],
    commit: str | None,
) -> cg.Model:
    """Calibrate and evaluate a model, and write its folder.

    Args:
      path: folder to create; its name is that of the model.
      model: the trained model.
      sets: stage -> training, validation and test set; the last stage is evaluated.
      learned: stage -> targets that were learned from it.
      license_name: license of the weights.
      recipe: options of the trainings.
      commit: commit of the code; None for that of the checkout.
    """
    _, valid, test = list(sets.values())[-1]
    # Predictions need no shortcut of the training.
    exact = model.replace(config=model.config.replace(precision="float32", rematerialize=False))
    exact, factors = _calibrated(exact, valid)
    stored = exact.replace(params=rounded(exact.params))
    found, before = cg.predict(stored, test), cg.predict(exact, test)
    values = {t: test.target(t) for t in model.targets}
    tests = {"held-out formulas": np.ones(len(test), bool)}
    tests["of these: structure types that no training crystal has"] = _new_types(test, sets)
    card = cg.ModelCard(
        name=path.name,
        about=_about(model),
        license=license_name,
        targets={t: model.units[t] for t in model.targets},
        parameters=model.n_params,
        data=tuple(_source(name, learned[name], train) for name, (train, _, _) in sets.items()),
        split=dict(zip(("train", "valid", "test"), map(len, list(sets.values())[-1]), strict=True)),
        split_by="formula",
        excluded=_excluded(recipe),
        errors={
            name: {t: errors_of(found.means[t][rows], values[t][rows]) for t in model.targets}
            for name, rows in tests.items()
        },
        by_element={t: _by_element(found.means[t] - values[t], test) for t in model.targets},
        calibration=_calibration(found, values, factors),
        storage={t: _changes(found.means[t], before.means[t]) for t in model.targets},
        limits=LIMITS,
        not_for=NOT_FOR,
        made_by=_made_by(recipe, commit, model),
    )
    return cg.publish_model(path, exact, card, test[: min(CHECKED, len(test))])


def _about(model: cg.Model) -> str:
    return (
        "A crystal graph attention network (Hoffmann et al., Digital Discovery 2, 1368, 2023) with "
        f"one encoder and {len(model.targets)} heads. Predicts properties of a crystal from its "
        "elements and the order of neighbors of each site, and serves as the start of transfers to "
        "more accurate or other data."
    )


def _source(name: str, learned: tuple[str, ...], train: cg.Dataset) -> cg.DataSource:
    facts = FACTS.get(name) or dict.fromkeys(("name", "method", "source", "license"), name)
    return cg.DataSource(**facts, targets=learned, crystals=len(train), digest=train.digest)


def _excluded(recipe: Mapping[str, Any]) -> str:
    kept_out = {
        words: ", ".join(Path(store).name for store in recipe[option])
        for option, words in EXCLUDED.items()
    }
    return ", and ".join(f"{words} {names}" for words, names in kept_out.items() if names)


def with_std_factors(model: cg.Model, factors: Mapping[str, float]) -> cg.Model:
    """Multiply the predicted standard deviations of targets by factors, in the weights.

    The bias of log_std in the last layer of a head takes the logarithm of the factor.
    """
    heads = dict(model.params["heads"])
    for target, factor in factors.items():
        out = heads[target]["out"]
        bias = np.array(out["bias"])
        bias[1] += np.log(factor)
        heads[target] = {**heads[target], "out": {**out, "bias": bias}}
    return model.replace(params={**model.params, "heads": heads})


def _calibrated(model: cg.Model, valid: cg.Dataset) -> tuple[cg.Model, dict[str, float]]:
    """Scale the standard deviations that the model predicts by the validation errors."""
    found, factors = cg.predict(model, valid), {}
    for target in model.predicts_std:
        error, std = known_errors(valid.target(target), found.means[target], found.stds[target])
        factors[target] = cg.best_factor(error, std, "area")
    return with_std_factors(model, factors), factors


def _new_types(test: cg.Dataset, sets: Mapping[str, Sets]) -> np.ndarray:
    """Mark the test crystals whose structure type is in no training set."""
    types = [_store_of(train).hashes("prototype", train.rows) for train, _, _ in sets.values()]
    return ~np.isin(_store_of(test).hashes("prototype", test.rows), np.concatenate(types))


def _store_of(data: cg.Dataset) -> cg.Store:
    if not isinstance(data.store, cg.Store):
        raise TypeError(f"expected a data set of a store, got one of {type(data.store).__name__}")
    return data.store


def _by_element(residuals: np.ndarray, test: cg.Dataset) -> dict[str, dict[str, float]]:
    """Return element -> MAE and number of the crystals that contain it."""
    rows: dict[str, list[int]] = {}
    for row, formula in enumerate(test.formulas):
        for symbol in set(re.findall(r"[A-Z][a-z]?", formula)):
            rows.setdefault(symbol, []).append(row)
    errors = {k: errors_of(residuals[v], np.zeros(len(v))) for k, v in sorted(rows.items())}
    return {k: {"mae": e["mae"], "n": e["n"]} for k, e in errors.items()}


def _calibration(
    found: cg.Predictions, values: Mapping[str, np.ndarray], factors: Mapping[str, float]
) -> dict[str, dict[str, float]]:
    reports = {t: cg.calibration_report(values[t], found.means[t], found.stds[t]) for t in factors}
    return {t: {"factor": factors[t], **dataclasses.asdict(r)} for t, r in reports.items()}


def _changes(found: np.ndarray, before: np.ndarray) -> dict[str, float]:
    changes = np.abs(found - before)
    return {"mean": float(changes.mean()), "largest": float(changes.max())}


def _made_by(recipe: Mapping[str, Any], commit: str | None, model: cg.Model) -> dict[str, str]:
    """Return command, commit, and the versions of the last training."""
    if commit is None:
        root = Path(__file__).parents[1]
        asked = subprocess.run(
            ["git", "-C", root, "rev-parse", "HEAD"], capture_output=True, text=True, check=False
        )
        commit = asked.stdout.strip() or "unknown"
    apart = (*EXCLUDED, ALSO, "network", "training")
    given = {k: v for k, v in recipe.items() if k not in apart}
    if given.get("start"):
        given["start"] = Path(given["start"]).name  # no folder of this machine
    options = {**given, **recipe["network"], **recipe["training"]}
    flags = [
        f"--{name.replace('_', '-')} {_flag_value(value)}"
        for name, value in options.items()
        if value is not None
    ]
    for option in (*EXCLUDED, ALSO):
        flag = option.replace("_", "-")
        flags += [f"--{flag} STORES/{Path(store).name}" for store in recipe[option]]
    command = f"python -m experiments pretrain train --stores STORES {' '.join(flags)}"
    stages = model.record.stages if model.record is not None else ()
    return {"command": command, "commit": commit, **(stages[-1]["versions"] if stages else {})}


def _flag_value(value: Any) -> Any:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else value
