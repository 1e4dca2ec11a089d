"""Submissions to Matbench Discovery: direct predictions of formation energies, and their YAML.

J. Riebesell et al., Nat. Mach. Intell. 7 (2025) 836. Rules as of July 2026: `contributing.md` and
`tests/model-schema.yml` of github.com/janosh/matbench-discovery. Their code, which computes the
metrics and checks lists of data sets, is not needed.
"""

import datetime
import gzip
import hashlib
import json
import math
import platform
import re
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import cgatjax as cg
from cgatjax.runtime import csv_bytes, write_durably

REQUIRED = frozenset(
    """authors architecture_types environment checkpoint_url dates doi license lifecycle model_key
    model_name model_params model_version openness paper pr_url repo targets test_task train_task
    training_sets""".split()
)
OPTIONAL = frozenset(
    """superseded_by trained_by docs pypi size fine_tune hyperparams notes n_estimators
    training_cost metrics""".split()
)
LICENSES = (
    *("MIT", "Apache-2.0", "CC-BY-4.0", "CC-BY-SA-4.0", "CC-BY-NC-4.0", "GPL-3.0", "BSD-3-Clause"),
    *("LGPL-3.0", "Meta Research", "ASL", "unreleased"),
)
_PERSON = frozenset("name affiliation email url orcid github corresponding".split())
_URLS = "repo doi paper docs pypi pr_url checkpoint_url".split()
_CHOICES = {
    "lifecycle": ("active", "superseded", "deprecated", "aborted"),
    "openness": ("OSOD", "OSCD", "CSOD", "CSCD"),
    "train_task": ("RP2RE", "RS2RE", "S2E", "S2RE", "S2EF", "S2EFS", "S2EFSM"),
    "test_task": ("IP2E", "IS2E", "IS2RE", "IS2RE-SR"),
    "targets": ("E", "EF_G", "EF_D", "EFS_G", "EFSH_G", "EFS_D", "EFS_GM", "EFS_DM"),
}
_ARCHITECTURES = (
    *("gnn", "transformer", "random_forest", "fingerprint", "bayesian_optimization", "unknown"),
)
_KEY = re.compile(r"[a-z0-9]+(?:[.-][a-z0-9]+)*")
_FAMILY = re.compile(r"[a-z0-9]+(?:_[a-z0-9]+)*")


def schema_faults(given: Mapping[str, Any]) -> list[str]:
    """Return a line for each rule of the model schema that metadata break, none if they are valid.

    Args:
      given: content of the YAML file.
    """
    faults = [f"{key}: missing" for key in sorted(REQUIRED - set(given))]
    unknown = sorted(set(given) - REQUIRED - OPTIONAL)
    faults += [f"{key}: unknown key" for key in unknown]
    for key, choices in _CHOICES.items():
        if key in given and given[key] not in choices:
            faults.append(f"{key}: expected one of {choices}, got {given[key]!r}")
    for key in _URLS:
        if given.get(key) is not None and not _is_url(given[key]):
            faults.append(f"{key}: expected an address (http...) or null, got {given[key]!r}")
    for key, check in _CHECKS.items():
        if key in given:
            faults += [f"{key}: {fault}" for fault in check(given[key])]
    if given.get("lifecycle") == "superseded" and "superseded_by" not in given:
        faults.append("superseded_by: missing, as lifecycle is superseded")
    return faults


def _is_url(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(("http://", "https://"))


def _key_faults(value: Any) -> list[str]:
    is_key = isinstance(value, str) and _KEY.fullmatch(value)
    return [] if is_key else [f"expected lower-case words joined by - or ., got {value!r}"]


def _people_faults(value: Any) -> list[str]:
    if not isinstance(value, list) or not value or not all(isinstance(p, dict) for p in value):
        return [f"expected a list of people, got {value!r:.60}"]
    faults = [f"person {k}: name is missing" for k, p in enumerate(value) if not p.get("name")]
    unknown = sorted({key for person in value for key in person} - _PERSON)
    return faults + [f"unknown key {key!r} of a person" for key in unknown]


def _author_faults(value: Any) -> list[str]:
    faults = _people_faults(value)
    if not faults and "@" not in str(value[0].get("email", "")):
        faults.append("the first author needs an email")
    return faults


def _date_faults(value: Any) -> list[str]:
    names = {"benchmark_added", "paper_published"}
    if not isinstance(value, dict) or set(value) != names:
        return [f"expected the keys {sorted(names)}, got {value!r:.80}"]
    return [
        f"{name}: expected a date yyyy-mm-dd or null, got {date!r}"
        for name, date in value.items()
        if date is not None and not _is_date(date)
    ]


def _is_date(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(datetime.date.fromisoformat(value))
    except ValueError:
        return False


def _license_faults(value: Any) -> list[str]:
    known = {
        f"{part}{end}" for part in ("code", "checkpoint") for end in ("", "_url", "_url_reason")
    }
    if not isinstance(value, dict) or not {"code", "checkpoint"} <= set(value) <= known:
        return [f"expected code and checkpoint (and {sorted(known)}), got {value!r:.80}"]
    wrong = [value[part] for part in ("code", "checkpoint") if value[part] not in LICENSES]
    return [f"expected one of {LICENSES}, got {name!r}" for name in wrong]


def _environment_faults(value: Any) -> list[str]:
    is_dict = isinstance(value, dict) and {"dependencies", "python_version"} <= set(value)
    if not is_dict or not value["dependencies"]:
        return [f"expected dependencies and python_version, got {value!r:.80}"]
    version = str(value["python_version"])
    return [] if re.fullmatch(r"\d+\.\d+", version) else [f"python_version: got {version!r}"]


def _cost_faults(value: Any) -> list[str]:
    entries = value.get("entries") if isinstance(value, dict) else None
    names = {"hardware", "count", "hours_per_device"}
    if not entries or any(set(entry) != names for entry in entries):
        return [f"expected entries with {sorted(names)}, got {value!r:.80}"]
    return []


def _set_faults(value: Any) -> list[str]:
    is_list = isinstance(value, list) and value and len(set(value)) == len(value)
    return [] if is_list else [f"expected a list of distinct names, got {value!r:.80}"]


def _architecture_faults(value: Any) -> list[str]:
    faults = _set_faults(value)
    return faults or [f"expected one of {_ARCHITECTURES}" for v in value if v not in _ARCHITECTURES]


def _count_faults(value: Any) -> list[str]:
    return [] if type(value) is int and value >= 0 else [f"expected a whole number, got {value!r}"]


_CHECKS: dict[str, Callable[[Any], list[str]]] = {
    "model_key": _key_faults,
    "authors": _author_faults,
    "trained_by": _people_faults,
    "dates": _date_faults,
    "license": _license_faults,
    "environment": _environment_faults,
    "training_cost": _cost_faults,
    "training_sets": _set_faults,
    "architecture_types": _architecture_faults,
    "model_params": _count_faults,
}


def metadata_of_run(path: str | Path) -> dict[str, Any]:
    """Return the metadata that follow from a run: sizes, environment, task.

    Training on relaxed structures and their energies is assumed ("RS2RE").

    Args:
      path: folder of a run, an ensemble or a model.

    Raises:
      InputError: the folder has no model.
    """
    from cgatjax.inference.loading import member_folders

    members = [cg.load_model(folder) for folder in member_folders(path)]
    model = members[0]
    versions = (f"cgatjax=={cg.__version__}", f"jax=={metadata.version('jax')}")
    architecture = {
        "n_layers": model.config.steps,
        "max_neighbors": model.graph_config.max_neighbors,
    }
    found: dict[str, Any] = {
        "model_params": sum(member.n_params for member in members),
        "architecture_types": ["gnn"],
        "targets": "E",
        "train_task": "RS2RE",
        "test_task": "IS2E",
        "lifecycle": "active",
        "environment": {
            "dependencies": list(versions),
            "python_version": ".".join(platform.python_version_tuple()[:2]),
        },
        "hyperparams": {"architecture": architecture},
    }
    return found | ({"n_estimators": len(members)} if len(members) > 1 else {})


def write_discovery(
    predictions: Mapping[str, float],
    about: Mapping[str, Any],
    folder: str | Path,
    *,
    family: str,
    date: str,
) -> Path:
    """Write predictions and metadata as Matbench Discovery expects them.

    The files are `models/FAMILY/KEY/DATE-discovery.csv.gz` and `models/FAMILY/KEY.yml` below the
    folder. The address of the uploaded predictions is to be added to the latter.

    Args:
      predictions: WBM id -> formation energy in eV/atom with the MP2020 corrections; NaN for none.
      about: content of the YAML file, except `metrics`.
      folder: folder to write to.
      family: name of the folder of related models, words joined by "_".
      date: date of the predictions, yyyy-mm-dd.

    Returns:
      Path of the YAML file.

    Raises:
      InputError: metadata against the schema (all faults are listed), ids that are not those of
        WBM, or no predictions.
    """
    faults = schema_faults(about)
    if not _FAMILY.fullmatch(family):
        faults.append(f"family: expected lower-case words joined by _, got {family!r}")
    if not _is_date(date):
        faults.append(f"date: expected yyyy-mm-dd, got {date!r}")
    if faults:
        raise cg.InputError(f"{len(faults)} faults in the metadata: {'; '.join(faults)}")
    wrong = [name for name in predictions if not re.fullmatch(r"wbm-\d+-\d+", name)]
    known = {name: value for name, value in predictions.items() if math.isfinite(value)}
    if wrong or not known:
        raise cg.InputError(
            f"expected predictions for ids such as wbm-1-17, got {wrong[:5] or 'none'}"
        )
    rows = ((name, repr(float(value))) for name, value in known.items())
    data = gzip.compress(csv_bytes([("material_id", "e_form_per_atom"), *rows]), mtime=0)
    name = Path("models") / family / about["model_key"] / f"{date}-discovery.csv.gz"
    digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
    pred_file = {"name": name.as_posix(), "size": len(data), "md5": digest}
    whole = {**about, "metrics": {"discovery": {"pred_file": pred_file}}}
    path = Path(folder) / "models" / family / f"{about['model_key']}.yml"
    write_durably(Path(folder) / name, data)
    write_durably(path, yaml_text(whole).encode())
    return path


def yaml_text(value: Any, indent: int = 0) -> str:
    """Format nested dictionaries and lists as YAML; scalars are those of JSON, a subset of it."""
    space = "  " * indent
    if isinstance(value, Mapping) and value:
        lines = [f"{space}{key}:{_inline(part, indent + 1)}" for key, part in value.items()]
        return "".join(lines)
    if isinstance(value, list) and value:
        return "".join(f"{space}-{_inline(part, indent + 1)}" for part in value)
    return f"{space}{json.dumps(value, ensure_ascii=False)}\n"


def _inline(value: Any, indent: int) -> str:
    """Format a value behind a key or dash: scalars on the same line, the others below."""
    if isinstance(value, Mapping | list) and value:
        return "\n" + yaml_text(value, indent)
    return f" {json.dumps(value, ensure_ascii=False)}\n"
