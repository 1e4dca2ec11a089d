"""How often a change that leaves a crystal the same changes its graph, for each choice of options.

Every crystal is changed in seven ways; a graph counts as changed when a network of five
message-passing steps could tell it from the graph of the original. Makes the table of
docs/invariances.md.

    python benchmarks/invariances.py pbe_000.json.bz2 --structures 480

Without an input, crystals of prototypes (symmetric) and random ones (not symmetric) are made.
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
    order = rng.permutation(crystal.n_sites)
    return replace(
        crystal,
        frac_coords=crystal.frac_coords[order],
        atomic_numbers=crystal.atomic_numbers[order],
    )


def rotated(crystal: Crystal, rng: np.random.Generator) -> Crystal:
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return replace(crystal, lattice=crystal.lattice @ rotation)


def translated(crystal: Crystal, rng: np.random.Generator) -> Crystal:
    shift = rng.uniform(-1, 1, 3) + rng.integers(-2, 3, (crystal.n_sites, 3))
    return replace(crystal, frac_coords=crystal.frac_coords + shift)


def in_another_cell(crystal: Crystal, rng: np.random.Generator) -> Crystal:
    """Another choice of lattice vectors, of the same volume."""
    change = np.eye(3)
    change[0, 1:] = rng.integers(-1, 2, 2)
    change[1, 2] = 1
    coords = crystal.frac_coords @ np.linalg.inv(change)
    return replace(crystal, lattice=change @ crystal.lattice, frac_coords=coords)


def doubled(crystal: Crystal, rng: np.random.Generator) -> Crystal:
    """A supercell of two cells along a random axis."""
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
    """Every length times 0.9 to 1.1."""
    return replace(crystal, lattice=rng.uniform(0.9, 1.1) * crystal.lattice)


def shaken(crystal: Crystal, rng: np.random.Generator) -> Crystal:
    """Every coordinate moved by up to 1e-7 A."""
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
    """What a network can know: kinds of sites after STEPS steps, both directions, and shares."""
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
            around[i]["sees", shell, colors[j]] += weight
            around[j]["seen by", shell, colors[i]] += weight * sizes[i] / sizes[j]
        colors = [
            hashlib.sha256(repr((c, sorted(seen.items()))).encode()).digest()
            for c, seen in zip(colors, around, strict=True)
        ]
    counts: Counter[bytes] = Counter()
    for color, size in zip(colors, sizes, strict=True):
        counts[color] += size
    return frozenset((c, Fraction(n, small.n_sites)) for c, n in counts.items())


def measure(crystals: Sequence[Crystal], seed: int) -> dict[str, dict[str, int]]:
    """Options -> change -> number of crystals whose graph changed."""
    table = {name: dict.fromkeys(CHANGES, 0) for name in OPTIONS}
    for name, config in OPTIONS.items():
        for number, crystal in enumerate(crystals):
            before = signature(featurize(crystal, config))
            for change, apply in CHANGES.items():
                other = apply(crystal, np.random.default_rng([seed, number]))
                table[name][change] += signature(featurize(other, config)) != before
    return table


def cut_shells(crystals: Sequence[Crystal]) -> tuple[int, int]:
    """(sites whose last shell K cuts, all sites) under the released options."""
    cut = sites = 0
    for crystal in crystals:
        graph = featurize(crystal, GraphConfig.released(split_shell="share"))
        last = np.bincount(graph.edge_center, weights=graph.weight_denominator > 1)
        cut += int((last > 0).sum())
        sites += graph.n_sites
    return cut, sites


def random_crystal(seed: int) -> Crystal:
    """1 to 12 sites at random places of a sheared cell, 18 A^3 each."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 13))
    lattice = np.eye(3) + 0.2 * rng.uniform(-1, 1, (3, 3))
    lattice *= (n * 18.0 / np.linalg.det(lattice)) ** (1 / 3)
    return Crystal(
        id=f"random-{seed}",
        lattice=lattice,
        frac_coords=rng.uniform(0, 1, (n, 3)),
        atomic_numbers=rng.integers(1, 93, n).astype(np.uint8),
    )


def as_markdown(table: dict[str, dict[str, int]], total: int) -> str:
    """The table for the documentation, in per cent of the crystals."""
    rows = [["graphs changed by", *table]]
    rows += [[c, *(f"{100 * row[c] / total:.1f} %" for row in table.values())] for c in CHANGES]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("inputs", nargs="*", help="files or folders of structures")
    parser.add_argument("--structures", type=int, default=480)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", help="also write the counts there")
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
            json.dump({"crystals": len(crystals), "changed": table}, file, indent=1)


if __name__ == "__main__":
    main()
