"""Formation energies and signed distances to the convex hull (phase-separation energies).

The *hull* at the composition of an entry is the lowest energy per atom of any mixture of competing
entries: a linear program. The distance is the energy of the entry minus that of the hull: positive
for entries that decompose, negative for stable compounds, which do not compete with themselves.

The competing entries depend on `polymorphs`:

- "compete": all other entries. The lowest of several polymorphs is then compared with the second
  lowest if that would be stable too, and every other one with the lowest, as in the published
  correction of the DCGAT data
  (`correct_e_phase_separation.py` of github.com/noah-hoffmann/TransferLearning).
- "ignore": all entries of *other* compositions, as in pymatgen's `get_phase_separation_energy`
  (C. J. Bartel et al., npj Comput. Mater. 6 (2020) 97). Polymorphs above a stable compound may then
  have negative distances, too.

Both agree at compositions with a single entry. Elements have no competitors of another composition:
their distance is relative to the lowest entry of the element, or to zero if formation energies are
given.
"""

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import combinations, islice
from typing import Literal, NamedTuple

import numpy as np

from cgatjax.errors import ConfigError, InputError
from cgatjax.runtime.executors import map_in_workers
from cgatjax.structures import SYMBOLS

Composition = tuple[tuple[int, int], ...]
"""(atomic number, count) by ascending atomic number, with coprime counts."""
System = tuple[int, ...]
"""Atomic numbers of a chemical system, ascending."""
Polymorphs = Literal["compete", "ignore"]

CHUNK = 64
"""Chemical systems per task of a worker."""
_TOLERANCES = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}


@dataclass(frozen=True, eq=False, kw_only=True)
class HullEnergies:
    """Formation energies and hull distances of a set of entries.

    Attributes:
      formation: (n,) float64, formation energy in eV/atom; NaN for entries with a reason.
      distance: (n,) float64, signed distance to the hull in eV/atom; NaN for entries with a reason.
      reasons: entry -> reason for the lack of both.
    """

    formation: np.ndarray
    distance: np.ndarray
    reasons: Mapping[int, str]


def composition_of(atomic_numbers: np.ndarray) -> Composition:
    """Reduce the atomic numbers of a cell to a composition.

    >>> composition_of(np.array([8, 22, 8, 22, 8, 8]))
    ((8, 2), (22, 1))
    """
    numbers, counts = np.unique(np.asarray(atomic_numbers, np.int64), return_counts=True)
    divisor = np.gcd.reduce(counts)
    return tuple(zip(numbers.tolist(), (counts // divisor).tolist(), strict=True))


def hull_energies(
    compositions: Sequence[Composition],
    energies: Sequence[float] | np.ndarray,
    *,
    are_formation: bool = False,
    polymorphs: Polymorphs = "compete",
    workers: int = 1,
    executor: Executor | None = None,
) -> HullEnergies:
    """Compute formation energies and signed hull distances of entries relative to each other.

    Args:
      compositions: compositions of the n entries, see `composition_of`.
      energies: (n,) energies in eV/atom.
      are_formation: the energies are formation energies: elements are at zero and need no entry.
        Otherwise the lowest entry of each element is its reference.
      polymorphs: competing entries of the same composition, see above.
      workers: number of processes to share the chemical systems.
      executor: executor to use instead of new processes.

    Returns:
      Both energies in the order of the entries. An entry without a finite energy, or with an
      element that has no entry of its own, has a reason instead and does not compete.

    Raises:
      ConfigError: unknown value of `polymorphs`.
      InputError: lengths that differ, or a linear program without a solution.

    Examples:
      >>> sodium, chlorine, salt = ((11, 1),), ((17, 1),), ((11, 1), (17, 1))
      >>> found = hull_energies([sodium, chlorine, salt], [-1.3, -1.8, -3.65])
      >>> found.formation.round(3).tolist(), float(found.distance[2].round(3))
      ([0.0, 0.0, -2.1], -2.1)
    """
    if polymorphs not in ("compete", "ignore"):
        raise ConfigError(f"polymorphs: expected 'compete' or 'ignore', got {polymorphs!r}")
    values = np.asarray(energies, np.float64)
    if values.shape != (len(compositions),):
        raise InputError(f"expected {len(compositions)} energies, got shape {values.shape}")
    references = {} if are_formation else _references(compositions, values)
    reasons = _reasons(compositions, values, None if are_formation else references)
    formation = values - [
        sum(n * references.get(z, 0.0) for z, n in c) / sum(n for _, n in c) for c in compositions
    ]
    formation[list(reasons)] = np.nan
    lowest, second = _two_lowest(compositions, formation)
    hull = dict(_hulls(lowest, workers, executor))
    return HullEnergies(
        formation=formation,
        distance=_distances(compositions, formation, lowest, second, hull, polymorphs),
        reasons=reasons,
    )


class KnownHull:
    """Convex hull of known phases, for the distances of compositions that are not among them.

    Attributes:
      digest: hash of the phases.

    >>> hull = KnownHull([((11, 1), (17, 1))], [-2.1])
    >>> round(hull.energy(((11, 3), (17, 1))), 3)
    -1.05
    """

    def __init__(
        self, compositions: Sequence[Composition], energies: Sequence[float] | np.ndarray
    ) -> None:
        """Keep the lowest formation energy of each composition, in eV/atom; elements are at zero.

        InputError if an energy is not finite.
        """
        values = np.asarray(energies, np.float64)
        for entry, reason in _reasons(compositions, values, None).items():
            raise InputError(f"phase {entry} of the hull: {reason}")
        self._lowest, _ = _two_lowest(compositions, values)
        self.digest = hashlib.sha256(repr(sorted(self._lowest.items())).encode()).hexdigest()[:16]
        self._members: dict[System, list[Composition]] = defaultdict(list)
        for composition, energy in self._lowest.items():
            if len(composition) > 1 and energy < 0:
                self._members[tuple(z for z, _ in composition)].append(composition)
        self._known: dict[Composition, float] = {}

    def energy(self, composition: Composition) -> float:
        """Compute the hull at a composition, in eV/atom: that of the best mixture of the phases."""
        if composition not in self._known:
            system = tuple(z for z, _ in composition)
            rivals = [
                c for s in _subsystems(system, self._members) for c in self._members.get(s, ())
            ]
            fractions, energies = _entries(system, rivals, [self._lowest[c] for c in rivals])
            target = _fractions(composition, {z: k for k, z in enumerate(system)})
            self._known[composition] = _lowest_mixture(fractions, energies, target)
        return self._known[composition]


def _references(compositions: Sequence[Composition], energies: np.ndarray) -> dict[int, float]:
    """Find the lowest energy per atom of each element, by atomic number."""
    references: dict[int, float] = {}
    for composition, energy in zip(compositions, energies.tolist(), strict=True):
        if len(composition) == 1 and math.isfinite(energy):
            element = composition[0][0]
            references[element] = min(energy, references.get(element, math.inf))
    return references


def _reasons(
    compositions: Sequence[Composition],
    energies: np.ndarray,
    references: Mapping[int, float] | None,
) -> dict[int, str]:
    reasons = {}
    for entry, (composition, energy) in enumerate(zip(compositions, energies, strict=True)):
        if not math.isfinite(energy):
            reasons[entry] = f"expected a finite energy, got {energy}"
        elif references is not None:
            missing = [SYMBOLS[z] for z, _ in composition if z not in references]
            if missing:
                reasons[entry] = f"no reference entry of the pure element {', '.join(missing)}"
    return reasons


def _two_lowest(
    compositions: Sequence[Composition], formation: np.ndarray
) -> tuple[dict[Composition, float], dict[Composition, float]]:
    """Find the two lowest formation energies of each composition; infinity if there is one."""
    lowest: dict[Composition, float] = {}
    second: dict[Composition, float] = {}
    for composition, energy in zip(compositions, formation.tolist(), strict=True):
        if math.isnan(energy):
            continue
        best = lowest.get(composition, math.inf)
        lowest[composition] = min(best, energy)
        second[composition] = min(max(best, energy), second.get(composition, math.inf))
    return lowest, second


def _distances(
    compositions: Sequence[Composition],
    formation: np.ndarray,
    lowest: Mapping[Composition, float],
    second: Mapping[Composition, float],
    hull: Mapping[Composition, float],
    polymorphs: Polymorphs,
) -> np.ndarray:
    distance = np.full(len(compositions), np.nan)
    for entry, (composition, energy) in enumerate(
        zip(compositions, formation.tolist(), strict=True)
    ):
        if math.isnan(energy):
            continue
        if len(composition) == 1:
            competitor = min(lowest[composition], 0.0)
        elif polymorphs == "ignore":
            competitor = hull[composition]
        else:
            is_lowest = energy == lowest[composition]
            rival = second[composition] if is_lowest else lowest[composition]
            competitor = min(hull[composition], rival)
        distance[entry] = energy - competitor
    return distance


class _Job(NamedTuple):
    """Hull problem of one chemical system.

    Rivals are all compositions of the system with a negative formation energy; each wanted one
    competes with all of them but itself.
    """

    system: System
    rivals: list[Composition]
    energies: list[float]
    wanted: list[Composition]


def _hulls(
    lowest: Mapping[Composition, float], workers: int, executor: Executor | None
) -> Iterator[tuple[Composition, float]]:
    """Yield the composition of each compound with the hull of all other compositions there."""
    systems = _jobs(lowest)
    jobs = iter(lambda: list(islice(systems, CHUNK)), [])
    for solved in map_in_workers(_solve, jobs, workers, executor):
        yield from solved


def _jobs(lowest: Mapping[Composition, float]) -> Iterator[_Job]:
    """Yield the chemical systems of compounds lazily, so that few are in memory."""
    members: dict[System, list[Composition]] = defaultdict(list)
    for composition in lowest:
        if len(composition) > 1:
            members[tuple(z for z, _ in composition)].append(composition)
    for system, wanted in members.items():
        rivals = [
            c for s in _subsystems(system, members) for c in members.get(s, ()) if lowest[c] < 0
        ]
        yield _Job(system, rivals, [lowest[c] for c in rivals], wanted)


def _subsystems(system: System, known: Mapping[System, object]) -> Iterator[System]:
    """Yield the chemical systems of two elements or more within a system, itself included."""
    if 2 ** len(system) > len(known):
        elements = set(system)
        yield from (other for other in known if elements.issuperset(other))
    else:
        for size in range(2, len(system) + 1):
            yield from combinations(system, size)


def _solve(jobs: list[_Job]) -> list[tuple[Composition, float]]:
    """Solve a linear program for each wanted composition; the elements compete at zero."""
    found = []
    for job in jobs:
        size, place = len(job.system), {z: k for k, z in enumerate(job.system)}
        fractions, energies = _entries(job.system, job.rivals, job.energies)
        number = {composition: size + k for k, composition in enumerate(job.rivals)}
        for composition in job.wanted:
            others = np.arange(len(energies)) != number.get(composition, -1)
            target = _fractions(composition, place)
            lowest = _lowest_mixture(fractions[others], energies[others], target)
            found.append((composition, lowest))
    return found


def _entries(
    system: System, compounds: Sequence[Composition], energies: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Return atomic fractions (m, k) and energies (m,) of the k elements and then the compounds."""
    place = {z: k for k, z in enumerate(system)}
    fractions = [*np.eye(len(system)), *(_fractions(c, place) for c in compounds)]
    return np.array(fractions), np.concatenate([np.zeros(len(system)), energies])


def _fractions(composition: Composition, place: Mapping[int, int]) -> np.ndarray:
    """Return the (elements of the system,) atomic fractions of a composition."""
    values = np.zeros(len(place))
    for z, n in composition:
        values[place[z]] = n
    return values / values.sum()


def _lowest_mixture(fractions: np.ndarray, energies: np.ndarray, target: np.ndarray) -> float:
    """Compute the lowest energy in eV/atom of a mixture of m entries with given atomic fractions
    (k,).
    """
    from scipy.optimize import linprog

    if len(energies) == len(target):  # only the elements compete
        return 0.0
    solution = linprog(energies, A_eq=fractions.T, b_eq=target, method="highs", options=_TOLERANCES)
    if solution.status != 0:
        raise InputError(
            f"expected a mixture of {len(energies)} entries with the atomic fractions "
            f"{target.tolist()}, got none: {solution.message}; check that energies are in eV/atom"
        )
    return float(solution.fun)
