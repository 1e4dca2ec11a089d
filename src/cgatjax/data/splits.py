"""Splits that are fixed once and can be repeated anywhere: by id, by formula, or as given.

A key's place in the order is a hash of the seed and the key, so neither the order of the files
nor the other crystals matter, and smaller training sets are prefixes of larger ones.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cgatjax.errors import InputError

PARTS = ("train", "valid", "test")


@dataclass(frozen=True, eq=False, kw_only=True)
class Split:
    """Ids of the three parts, each in its fixed order.

    Attributes:
      train, valid, test: crystal ids.
    """

    train: tuple[str, ...]
    valid: tuple[str, ...]
    test: tuple[str, ...]

    def save(self, path: str | Path) -> None:
        """Writes the ids as JSON."""
        parts = {name: list(getattr(self, name)) for name in PARTS}
        Path(path).write_text(json.dumps(parts))

    @classmethod
    def load(cls, path: str | Path) -> "Split":
        """Reads what `save` wrote.

        Raises:
          InputError: the file is not a split.
        """
        try:
            parts = json.loads(Path(path).read_text())
            return cls(**{name: tuple(str(i) for i in parts[name]) for name in PARTS})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{path}: expected a JSON split with the keys {PARTS}: {error}"
            ) from error


def make_split(
    ids: Sequence[str],
    groups: Sequence[str] | None = None,
    *,
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
    seed: int = 0,
) -> Split:
    """Divides ids into train, valid and test.

    Args:
      ids: crystal ids, all different.
      groups: a key per crystal (its reduced formula, say); equal keys stay in one part.
      fractions: of train, valid and test; their sum is at most 1.
      seed: of the order.

    Raises:
      InputError: repeated ids, or fractions that are negative or sum to more than 1.
    """
    if len(set(ids)) != len(ids):
        raise InputError("expected distinct ids to split, got repeated ones")
    if min(fractions) < 0 or sum(fractions) > 1 + 1e-9:
        raise InputError(f"expected three fractions that sum to at most 1, got {fractions}")
    order = ordered(ids, groups, seed=seed)
    keys = [groups[i] for i in order] if groups is not None else [ids[i] for i in order]
    bounds = [round(f * len(ids)) for f in np.cumsum(fractions)]
    cuts = [_next_group(keys, b) for b in bounds]
    named = [ids[i] for i in order]
    starts = [0, *cuts[:-1]]
    parts = {p: tuple(named[a:b]) for p, a, b in zip(PARTS, starts, cuts, strict=True)}
    return Split(**parts)


def ordered(ids: Sequence[str], groups: Sequence[str] | None = None, *, seed: int = 0) -> list[int]:
    """Positions of the crystals in the fixed pseudo-random order; equal groups are adjacent."""
    hashes = [_hash(seed, i) for i in ids]
    if groups is None:
        return sorted(range(len(ids)), key=lambda i: (hashes[i], ids[i]))
    group_hash = {g: _hash(seed, g) for g in set(groups)}
    return sorted(
        range(len(ids)), key=lambda i: (group_hash[groups[i]], groups[i], hashes[i], ids[i])
    )


def nested_subset(ids: Sequence[str], size: int, *, seed: int = 0) -> tuple[str, ...]:
    """The first `size` ids of one fixed order: smaller subsets are contained in larger ones.

    Raises:
      InputError: fewer ids than asked for.
    """
    if not 0 < size <= len(ids):
        raise InputError(f"expected a subset size of 1..{len(ids)}, got {size}")
    return tuple(ids[i] for i in ordered(ids, seed=seed)[:size])


def _hash(seed: int, key: str) -> bytes:
    return hashlib.blake2b(f"{seed}:{key}".encode(), digest_size=8).digest()


def _next_group(keys: Sequence[str], bound: int) -> int:
    """The first position at or after `bound` where a new group starts."""
    while 0 < bound < len(keys) and keys[bound] == keys[bound - 1]:
        bound += 1
    return bound
