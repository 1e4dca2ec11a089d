"""Invariance of graphs: share of crystals whose graph changes if the same crystal is rewritten.

    python benchmarks/invariances.py pbe_000.json.bz2 --structures 480

Rewrites every crystal in seven ways, such as another cell or another order of sites, with each
choice of graph options. A graph counts as changed if a network with five message-passing steps can
distinguish it from that of the original. Without inputs, half of the crystals are of a synthetic
data set (symmetric) and half are random (not symmetric).

Prints the table of docs/invariances.md: a row for each rewriting, percent of changed graphs with
each choice of options. 0 % is best.
"""

import argparse
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from cgatjax.config import GraphConfig
from cgatjax.graphs.crystal_graph import CrystalGraph, featurize
from cgatjax.graphs.reduction import reduce_graph
from cgatjax.structures.crystal import Crystal
from cgatjax.structures.readers import read_crystals
from cgatjax.synthetic.dataset import ionic_crystals

STEPS = 5
NOISE = 1e-7  # angstrom
OPTIONS = {
    "released: 1e-8 A, cut": GraphConfig.released(),
    "3e-4 of the distance, cut": GraphConfig.recommended(split_shell="cut"),
    "1e-8 A, share": GraphConfig.released(split_shell="share"),
    "recommended: 3e-4 of the distance, share": GraphConfig.recommended(),
}
Change = Callable[[Crystal, np.random.Generator], Crystal]


def permuted(crystal: Crystal, rng: np.random.Generator) -> Crystal:
    """Shuffle the sites."""
    order = rng.permutation(crystal.n_sites)
    return replace(
        crystal,
        frac_coords=crystal.frac_coords[order],
        atomic_numbers=crystal.atomic_numbers[order],
    )


def rotated(crystal: Crystal, rng: np.random.Generator) -> Crystal:
    """Rotate or reflect the lattice vectors at random."""
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return replace(crystal, lattice=crystal.lattice @ rotation)


def translated(crystal: Crystal, rng: np.random.Generator) -> Crystal:
    """Shift all sites together, and each by lattice vectors."""
    shift = rng.uniform(-1, 1, 3) + rng.integers(-2, 3, (crystal.n_sites, 3))
    return replace(crystal, frac_coords=crystal.frac_coords + shift)


def in_another_cell(crystal: Crystal, rng: np.random.Generator) -> Crystal:
    """Choose other lattice vectors of the same volume."""
    change = np.eye(3)
    change[0, 1:] = rng.integers(-1, 2, 2)
    change[1, 2] = 1
    coords = crystal.frac_coords @ np.linalg.inv(change)
    return replace(crystal, lattice=change @ crystal.lattice, frac_coords=coords)


def doubled(crystal: Crystal, rng: np.random.Generator) -> Crystal:
    """Make a supercell of two cells along a random axis."""
    axis = rng.integers(3)
    times = np.where(np.arange(3) == axis, 2, 1)
    second = crystal.frac_coords + np.eye(3)[axis]
    return replace(
        crystal,
        lattice=times[:, None] * crystal.lattice,
        frac_coords=np.concatenate([crystal.frac_coords, second]) / times,
        atomic_numbers=np.tile(crystal.atomic_numbers, 2),
    )


def scaled(crystal: Crystal, rng: np.random.Generator) -> Crystal:
    """Scale all lengths by a factor of 0.9 to 1.1."""
    return replace(crystal, lattice=rng.uniform(0.9, 1.1) * crystal.lattice)


def shaken(crystal: Crystal, rng: np.random.Generator) -> Crystal:
    """Move every coordinate by up to 1e-7 A."""
    places = crystal.frac_coords @ crystal.lattice
    places = places + rng.uniform(-NOISE, NOISE, places.shape)
    return replace(crystal, frac_coords=places @ np.linalg.inv(crystal.lattice))


CHANGES: dict[str, Change] = {
    "order of sites": permuted,
    "rotation": rotated,
    "translation": translated,
    "choice of cell": in_another_cell,
    "supercell": doubled,
    "volume": scaled,
    "1e-7 A of noise": shaken,
}


def signature(graph: CrystalGraph) -> frozenset[tuple[bytes, Fraction]]:
    """Return what a network can know of a graph: its site classes and their fractions.

    Site classes are colors of the Weisfeiler-Leman test after STEPS rounds, in both directions.
    """
    small = reduce_graph(graph)
    sizes = small.node_multiplicity.tolist()
    colors = [bytes([z]) for z in small.atomic_numbers.tolist()]
    edges = [
        (i, j, shell, Fraction(n, d))
        for i, j, shell, n, d in zip(
            small.edge_center.tolist(),
            small.edge_neighbor.tolist(),
            small.edge_shell.tolist(),
            small.weight_numerator.tolist(),
            small.weight_denominator.tolist(),
            strict=True,
        )
    ]
    for _ in range(STEPS):
        around: list[Counter[Any]] = [Counter() for _ in colors]
        for i, j, shell, weight in edges:
            around[i]["neighbor", shell, colors[j]] += weight
            around[j]["center", shell, colors[i]] += weight * sizes[i] / sizes[j]
        colors = [
            hashlib.sha256(repr((c, sorted(edges_of.items()))).encode()).digest()
            for c, edges_of in zip(colors, around, strict=True)
        ]
    counts: Counter[bytes] = Counter()
    for color, size in zip(colors, sizes, strict=True):
        counts[color] += size
    return frozenset((c, Fraction(n, small.n_sites)) for c, n in counts.items())


def measure(crystals: Sequence[Crystal], seed: int) -> dict[str, dict[str, int]]:
    """Count crystals with a changed graph: options -> rewriting -> count."""
    table = {name: dict.fromkeys(CHANGES, 0) for name in OPTIONS}
    for name, config in OPTIONS.items():
        for number, crystal in enumerate(crystals):
            before = signature(featurize(crystal, config))
            for change, apply in CHANGES.items():
                other = apply(crystal, np.random.default_rng([seed, number]))
                table[name][change] += signature(featurize(other, config)) != before
    return table


def cut_shells(crystals: Sequence[Crystal]) -> tuple[int, int]:
    """Count the sites whose last shell is cut by K in the released options, and all sites."""
    cut = sites = 0
    for crystal in crystals:
        graph = featurize(crystal, GraphConfig.released(split_shell="share"))
        last = np.bincount(graph.edge_center, weights=graph.weight_denominator > 1)
        cut += int((last > 0).sum())
        sites += graph.n_sites
    return cut, sites


def random_crystal(seed: int, max_sites: int = 12) -> Crystal:
    """Make a crystal of random sites in a sheared cell, with 18 A^3 per site."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, max_sites + 1))
    lattice = np.eye(3) + 0.2 * rng.uniform(-1, 1, (3, 3))
    lattice *= (n * 18.0 / np.linalg.det(lattice)) ** (1 / 3)
    return Crystal(
        id=f"random-{seed}",
        lattice=lattice,
        frac_coords=rng.uniform(0, 1, (n, 3)),
        atomic_numbers=rng.integers(1, 93, n).astype(np.uint8),
    )


def as_markdown(table: dict[str, dict[str, int]], total: int) -> str:
    """Format the table of the documentation, in percent of the crystals."""
    rows = [["graphs changed by", *table]]
    rows += [[c, *(f"{100 * row[c] / total:.1f} %" for row in table.values())] for c in CHANGES]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("inputs", nargs="*", help="files or folders of structures")
    parser.add_argument("--structures", type=int, default=480, help="number of crystals")
    parser.add_argument("--seed", type=int, default=0, help="seed of crystals and rewritings")
    parser.add_argument("--json", metavar="FILE", help="file for the counts as JSON")
    args = parser.parse_args()
    if args.inputs:
        found = [c for c in read_crystals(args.inputs) if isinstance(c, Crystal)]
        step = max(1, len(found) // args.structures)
        crystals = found[::step][: args.structures]
    else:
        half = args.structures // 2
        crystals = [*ionic_crystals(half, seed=args.seed), *map(random_crystal, range(half))]
    table = measure(crystals, args.seed)
    cut, sites = cut_shells(crystals)
    print(as_markdown(table, len(crystals)))
    print(f"\n{len(crystals)} crystals; K = 24 cuts a shell at {cut} of {sites} sites")
    if args.json:
        with open(args.json, "w") as file:
            found = {"crystals": len(crystals), "sites": sites, "cut": cut, "changed": table}
            json.dump(found, file, indent=1)


if __name__ == "__main__":
    main()
