"""Calculators of energies: any one of ASE, and packages known by a short name.

Each has an origin, a text with its name, its version and a hash of its weights or parameters, that
travels with the values: models trained on them refuse those of another calculator.
"""

import hashlib
import importlib
import json
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from cgatjax.errors import ConfigError, MissingExtraError
from cgatjax.structures import SYMBOLS, Crystal

BATCH = 16
"""Crystals that CHGNet computes together."""


class Calculator(Protocol):
    """Calculator of energies."""

    @property
    def origin(self) -> str:
        """Name, version, and hash of the weights or parameters."""

    def energies(self, crystals: Sequence[Crystal]) -> list[float | str]:
        """Compute the energies of cells in eV; for a crystal that fails the reason as text."""


@dataclass(frozen=True, eq=False)
class AseCalculator:
    """Calculator with ASE's interface."""

    calculator: Any
    origin: str

    def energies(self, crystals: Sequence[Crystal]) -> list[float | str]:
        """Compute the energies of cells in eV; for a crystal that fails the reason as text."""
        return [self._energy(crystal) for crystal in crystals]

    def _energy(self, crystal: Crystal) -> float | str:
        from ase import Atoms

        atoms = Atoms(
            numbers=crystal.atomic_numbers,
            scaled_positions=crystal.frac_coords,
            cell=crystal.lattice,
            pbc=True,
        )
        atoms.calc = self.calculator
        # Calculators of other people fail in every way; a crystal must not end a long run.
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                energy = float(atoms.get_potential_energy())
        except Exception as error:
            return _reason(error)
        return energy if math.isfinite(energy) else f"the calculator returned {energy}"


@dataclass(frozen=True, eq=False)
class Chgnet:
    """CHGNet (Deng et al., Nat. Mach. Intell. 5 (2023) 1031), in batches."""

    model: Any
    origin: str

    def energies(self, crystals: Sequence[Crystal]) -> list[float | str]:
        """Compute the energies of cells in eV; for a crystal that fails the reason as text."""
        found: list[float | str] = []
        for start in range(0, len(crystals), BATCH):
            batch = crystals[start : start + BATCH]
            try:
                found += self._batch(batch)
            except Exception:  # a crystal without bonds fails, and with it its batch
                found += [self._one(crystal) for crystal in batch]
        return found

    def _batch(self, crystals: Sequence[Crystal]) -> list[float | str]:
        structures = [_pymatgen(crystal) for crystal in crystals]
        with warnings.catch_warnings():  # of torch, on conversions inside CHGNet
            warnings.simplefilter("ignore")
            predicted = self.model.predict_structure(structures, task="e", batch_size=BATCH)
        predicted = predicted if isinstance(predicted, list) else [predicted]
        per_atom = [float(p["e"]) for p in predicted]
        return [
            e * crystal.n_sites if math.isfinite(e) else f"the calculator returned {e}"
            for e, crystal in zip(per_atom, crystals, strict=True)
        ]

    def _one(self, crystal: Crystal) -> float | str:
        try:
            return self._batch([crystal])[0]
        except Exception as error:  # the crystal that made its batch fail
            return _reason(error)


def _chgnet() -> Calculator:
    from chgnet.model import CHGNet

    model = CHGNet.load(verbose=False)
    return Chgnet(model, _origin("chgnet", "chgnet", _state_hash(model)))


def _sevennet() -> Calculator:
    from sevenn.calculator import SevenNetCalculator

    calculator = SevenNetCalculator("7net-0")
    digest = _state_hash(calculator.model)
    return AseCalculator(calculator, _origin("sevennet 7net-0", "sevenn", digest))


SHORT_NAMES: dict[str, tuple[Callable[[], Calculator], str]] = {
    "chgnet": (_chgnet, "chgnet"),
    "sevennet": (_sevennet, "sevenn"),
}
"""Short name -> function that makes the calculator, and the package to install."""


def make_calculator(name: str | Any) -> Calculator:
    """Make a calculator of a short name, "module:factory", or an ASE calculator.

    The factory returns an ASE calculator without arguments, as "ase.calculators.emt:EMT" does.

    Raises:
      ConfigError: no such calculator.
      MissingExtraError: its package, or ASE, is not installed.
    """
    if not isinstance(name, str):
        if not hasattr(name, "get_potential_energy"):
            raise ConfigError(
                f"expected the name of a calculator or an ASE calculator, got {type(name).__name__}"
            )
        return _of_ase(name, type(name).__module__, type(name).__qualname__)
    if name in SHORT_NAMES:
        make, package = SHORT_NAMES[name]
        try:
            return make()
        except ImportError as error:
            raise MissingExtraError(
                f"calculator {name!r} needs the package {package}: pip install {package} ({error})"
            ) from error
    module, colon, factory = name.partition(":")
    if not (module and colon and factory):
        raise ConfigError(
            f"calculator {name!r}: expected one of {sorted(SHORT_NAMES)} or MODULE:FACTORY, such "
            "as ase.calculators.emt:EMT"
        )
    try:
        made = getattr(importlib.import_module(module), factory)()
    except ImportError as error:
        raise MissingExtraError(f"calculator {name!r}: {error}") from error
    except AttributeError as error:
        raise ConfigError(f"calculator {name!r}: {error}") from error
    if not hasattr(made, "get_potential_energy"):
        raise ConfigError(
            f"calculator {name!r}: expected a function that returns an ASE calculator, got "
            f"{type(made).__name__}"
        )
    return _of_ase(made, module, factory)


def _of_ase(calculator: Any, module: str, factory: str) -> Calculator:
    """Wrap an ASE calculator; its hash is of weights, parameters, and the source of its module."""
    model = getattr(calculator, "model", None)
    parameters = json.dumps(dict(getattr(calculator, "parameters", None) or {}), default=str)
    digest = hashlib.sha256(parameters.encode())
    if hasattr(model, "state_dict"):
        digest.update(_state_hash(model).encode())
    file = getattr(importlib.import_module(module), "__file__", None)
    if file and Path(file).is_file():
        digest.update(Path(file).read_bytes())
    root = module.partition(".")[0]
    origin = _origin(f"{module}:{factory}", root, digest.hexdigest()[:16])
    return AseCalculator(calculator, origin)


def _origin(name: str, package: str, digest: str) -> str:
    try:
        distributions = packages_distributions().get(package, [package])
        name = f"{name} {version(distributions[0])}"
    except PackageNotFoundError:  # a module of the user, whose source is hashed
        pass
    return f"{name}, hash {digest}"


def _state_hash(model: Any) -> str:
    """Hash the weights of a torch module: 16 hex digits of SHA-256."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        array = np.ascontiguousarray(tensor.detach().cpu().numpy())
        digest.update(f"{name} {array.shape} {array.dtype}".encode() + array.tobytes())
    return digest.hexdigest()[:16]


def _pymatgen(crystal: Crystal) -> Any:
    from pymatgen.core import Lattice, Structure

    symbols = [SYMBOLS[z] for z in crystal.atomic_numbers.tolist()]
    return Structure(Lattice(crystal.lattice), symbols, crystal.frac_coords)


def _reason(error: Exception) -> str:
    return f"the calculator failed: {type(error).__name__}: {error}"
