"""Commands whose file operations are interrupted one by one: inputs, arguments, results.

To add a command, add a function with `@command_case`, which writes the inputs and returns the case.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w
from tests.commands import ok
from tests.crystals import cubic
from tests.networks import TINY_MODEL

from cgatjax.structures.dcgat import write_dcgat
from cgatjax.synthetic.dataset import ionic_crystals

LOW, HIGH = "e-form@low", "e-form@high"
TRAIN = {"epochs": 2, "batch_size": 16, "checkpoint_seconds": 0.0, "loss": "robust_l1"}
TINY = {"model": TINY_MODEL, "train": TRAIN}
UNTIDY = ("seconds", "candidates_per_second")
"""Entries of reports that differ from run to run."""


@dataclass(frozen=True)
class Case:
    """Command with its inputs on disk.

    Attributes:
      arguments: of the command line; relative paths are below the folder of the inputs.
      out: what the command creates or changes, relative to that folder.
      resumes: True if the interrupted command continues with --resume.
      ignored: names of files and folders below `out` whose bytes differ from run to run.
      changes: files of the inputs that the command replaces.
      refuses: True if the command does not overwrite a file that is there, which is whole then.
    """

    arguments: tuple[str, ...]
    out: str
    resumes: bool = True
    ignored: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    refuses: bool = False

    def again(self, folder: Path) -> tuple[str, ...]:
        """Return the arguments that continue after an interruption, () if nothing is left to do."""
        exists = (folder / self.out).exists()
        if exists and self.refuses:
            return ()
        return (*self.arguments, "--resume") if exists and self.resumes else self.arguments

    def results(self, folder: Path) -> dict[str, bytes]:
        """Read what the command has made, without times."""
        found = {}
        for name in files_of(folder / self.out):
            if not any(part in self.ignored for part in Path(name).parts):
                found[name] = _timeless(folder / self.out / name if name else folder / self.out)
        return found


CASES: dict[str, Callable[[Path], Case]] = {}


def command_case(prepare: Callable[[Path], Case]) -> Callable[[Path], Case]:
    """Register a case under the name of its function."""
    CASES[prepare.__name__] = prepare
    return prepare


def files_of(path: Path) -> list[str]:
    """List the files below a folder by relative path; a file itself is ""."""
    if path.is_file():
        return [""]
    return sorted(f.relative_to(path).as_posix() for f in path.rglob("*") if f.is_file())


def _timeless(file: Path) -> bytes:
    """Read a file without the times in it."""
    if file.name == "history.csv":
        rows = csv.DictReader(io.StringIO(file.read_text()))
        kept = [{k: v for k, v in row.items() if not k.startswith("seconds_")} for row in rows]
        return json.dumps(kept).encode()
    if file.name == "report.json":
        content = json.loads(file.read_text())
        return json.dumps({k: v for k, v in content.items() if k not in UNTIDY}).encode()
    if file.name == "screening.jsonl":
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        for line in lines:
            line.get("chunk", {}).pop("seconds", None)
        return json.dumps(lines).encode()
    return file.read_bytes()


def _store(folder: Path, n: int = 24) -> None:
    write_dcgat(ionic_crystals(n), folder / "ionic.json")
    ok("featurize", folder / "ionic.json", "--out", folder / "ionic.store", "--workers", 1)


def _config(folder: Path, **train: Any) -> None:
    (folder / "tiny.toml").write_text(tomli_w.dumps({**TINY, "train": {**TRAIN, **train}}))
    (folder / "train.toml").write_text(tomli_w.dumps({"train": {**TRAIN, **train}}))


def _run(folder: Path, n: int = 24) -> None:
    """Write a store, and a run that was trained on it."""
    _store(folder, n)
    _config(folder)
    ok(*_train(folder, "ionic.store", "pbe", LOW))
    _config(folder, epochs=1)


def _train(folder: Path, store: str, out: str, target: str) -> tuple[str, ...]:
    paths = ("--config", str(folder / "tiny.toml"), "--out", str(folder / out))
    return ("train", str(folder / store), "--target", target, *paths)


def _paths(folder: Path, *arguments: str) -> Iterable[str]:
    """Make arguments that begin with ./ absolute."""
    return (str(folder / a[2:]) if a.startswith("./") else a for a in arguments)


@command_case
def featurize(folder: Path) -> Case:
    """Shards of ten crystals, some of them filtered."""
    write_dcgat(ionic_crystals(30, seed=2), folder / "ionic.json")
    arguments = ("featurize", "./ionic.json", "--out", "./new.store", "--workers", "1")
    more = ("--max-atoms", "8", "--on-error", "skip")
    return Case(tuple(_paths(folder, *arguments, *more)), "new.store")


@command_case
def train(folder: Path) -> Case:
    """A checkpoint after each step."""
    _store(folder)
    _config(folder)
    return Case(_train(folder, "ionic.store", "run", LOW), "run", ignored=("checkpoints",))


@command_case
def ensemble(folder: Path) -> Case:
    """Two members."""
    _store(folder)
    _config(folder, epochs=1)
    arguments = (*_train(folder, "ionic.store", "run", LOW), "--ensemble", "2")
    return Case(arguments, "run", ignored=("checkpoints",))


@command_case
def transfer(folder: Path) -> Case:
    """All parameters are trained."""
    _run(folder)
    arguments = ("transfer", "./ionic.store", "--from", "./pbe", "--target", HIGH)
    more = ("--mode", "full", "--config", "./train.toml", "--out", "./scan")
    return Case(tuple(_paths(folder, *arguments, *more)), "scan", ignored=("checkpoints",))


@command_case
def transfer_head(folder: Path) -> Case:
    """A frozen encoder, whose embeddings are cached."""
    case = transfer(folder)
    arguments = tuple("head" if a == "full" else a for a in case.arguments)
    return Case(arguments, "scan", ignored=("checkpoints",))


@command_case
def screen(folder: Path) -> Case:
    """Chunks of 20 candidates."""
    _run(folder)
    arguments = ("screen", "./pbe", "--prototype", "perovskite", "--elements", "A=Ca,Sr,Ba,Na")
    more = ("--elements", "B=Ti,Zr,Nb,Al", "--elements", "X=O,F,S", "--keep-unseen")
    sizes = ("--chunk-rows", "20", "--batch-size", "16", "--best", "30", "--structures", "2")
    return Case(tuple(_paths(folder, *arguments, *more, *sizes, "--out", "./hits")), "hits")


@command_case
def adapt(folder: Path) -> Case:
    """Simple models and a network from scratch, two folds, a curve, a report."""
    _store(folder, 40)
    arguments = ("adapt", "./ionic.store", "--target", HIGH, "--from", "none", "--out", "./adapted")
    # Time enough for everything: results that depend on the time would not be the same again.
    options = ("--minutes", "60", "--steps", "2", "--folds", "2", "--next-count", "2")
    return Case(tuple(_paths(folder, *arguments, *options)), "adapted")


@command_case
def calibrate(folder: Path) -> Case:
    """A first calibration."""
    _run(folder)
    arguments = tuple(_paths(folder, "calibrate", "./pbe", "./ionic.store", "--subset", "all"))
    return Case(arguments, "pbe/calibration.json", resumes=False)


@command_case
def calibrate_again(folder: Path) -> Case:
    """Another criterion, over an earlier calibration."""
    case = calibrate(folder)
    ok(*case.arguments)
    arguments = (*case.arguments, "--by", "area")
    return Case(arguments, case.out, resumes=False, changes=("pbe/calibration.json",))


@command_case
def fit_gp(folder: Path) -> Case:
    """A Gaussian process over an earlier one with a calibration factor."""
    _run(folder)
    process = tuple(_paths(folder, "fit-gp", "./pbe", "./ionic.store", "--subset", "all"))
    ok(*process, "--steps", "3")
    ok(*_paths(folder, "calibrate", "./pbe", "./ionic.store", "--uncertainty", "gp"))
    names = ("process.safetensors", "process.json", "manifest.json")
    changes = (*(f"pbe/gaussian_process/{name}" for name in names), "pbe/calibration.json")
    return Case((*process, "--steps", "4"), "pbe", resumes=False, changes=changes)


@command_case
def label(folder: Path) -> Case:
    """Energies of metals; ionic crystals fail, as the potential has not their elements."""
    metals = [cubic(f"metal-{z}", 4.0, [(z, [0.0] * 3)]) for z in (13, 28, 29, 47)]
    write_dcgat([*metals, *ionic_crystals(2)], folder / "metals.json")
    arguments = ("label", "./metals.json", "--calculator", "ase.calculators.emt:EMT")
    return Case(tuple(_paths(folder, *arguments, "--out", "./new/labeled.json")), "new")


@command_case
def predict(folder: Path) -> Case:
    """A table of predictions."""
    _run(folder)
    arguments = ("predict", "./pbe", "./ionic.json", "--out", "./out/predictions.csv")
    return Case(tuple(_paths(folder, *arguments)), "out/predictions.csv", refuses=True)


@command_case
def hull(folder: Path) -> Case:
    """A folder of files, and a list of what was skipped."""
    write_dcgat(ionic_crystals(24), folder / "ionic.json")
    arguments = ("hull", "./ionic.json", "--energy", LOW, "--kind", "formation", "--workers", "1")
    return Case(tuple(_paths(folder, *arguments, "--out", "./hulls")), "hulls", refuses=True)


@command_case
def pairs(folder: Path) -> Case:
    """A store with two more properties."""
    _store(folder)
    arguments = ("pairs", "./ionic.store", "./ionic.store", "--low-target", LOW, "--target", HIGH)
    more = ("--store", "./both.store", "--as", "e-form_low")
    return Case(tuple(_paths(folder, *arguments, *more)), "both.store", refuses=True)
