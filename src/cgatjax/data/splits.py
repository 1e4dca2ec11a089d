"""Reproducible splits into training, validation and test set: by id, by formula, or given.

A hash of seed and key decides the place of a key in the order, so neither the order of the files
nor the other crystals matter, and smaller training sets are prefixes of larger ones.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cgatjax.errors import InputError
from cgatjax.runtime import reading, write_durably

SUBSETS = ("train", "valid", "test")


@dataclass(frozen=True, eq=False, kw_only=True)
class Split:
    """Ids of the three subsets, each in its fixed order.

    Attributes:
      train, valid, test: crystal ids.
    """

    train: tuple[str, ...]
    valid: tuple[str, ...]
    test: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Split({', '.join(f'{len(getattr(self, name))} {name}' for name in SUBSETS)})"

    def save(self, path: str | Path) -> None:
        """Write the ids as JSON."""
        content = json.dumps({name: getattr(self, name) for name in SUBSETS})
        write_durably(Path(path), content.encode())

    @classmethod
    def load(cls, path: str | Path) -> "Split":
        """Read a file of `save`.

        Raises:
          InputError: the file is not a split, or has an id twice.
        """
        with reading(path, f"a split with the keys {', '.join(SUBSETS)}"):
            content = json.loads(Path(path).read_text())
            subsets = {name: content[name] for name in SUBSETS}
        for name, ids in subsets.items():
            if not isinstance(ids, list) or not all(type(i) in (str, int) for i in ids):
                raise InputError(f"{path}: expected {name!r} as a list of ids, got {ids!r:.80}")
        subsets = {name: tuple(str(i) for i in ids) for name, ids in subsets.items()}
        every = [i for ids in subsets.values() for i in ids]
        if len(set(every)) < len(every):
            twice = next(i for i, n in Counter(every).items() if n > 1)
            raise InputError(f"{path}: the id {twice!r:.80} stands in the split more than once")
        return cls(**subsets)


def make_split(
    ids: Sequence[str],
    groups: Sequence[str] | None = None,
    *,
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
    seed: int = 0,
) -> Split:
    """Divide ids into training, validation and test set.

    Args:
      ids: crystal ids, all different.
      groups: a key per crystal, such as its reduced formula; equal keys stay in one subset.
      fractions: shares of train, valid and test; their sum is at most 1.
      seed: seed of the order.

    Raises:
      InputError: repeated ids, or fractions that are negative or sum to more than 1.

    Examples:
      >>> ids, formulas = ["a", "b", "c", "d"], ["NaCl", "NaCl", "KBr", "CsI"]
      >>> split = make_split(ids, formulas, fractions=(0.5, 0.25, 0.25), seed=1)
      >>> split.train, split.valid, split.test
      (('a', 'b'), ('c',), ('d',))
    """
    positions = split_positions(ids, groups, fractions=fractions, seed=seed)
    return Split(
        **{n: tuple(ids[i] for i in chosen) for n, chosen in zip(SUBSETS, positions, strict=True)}
    )


def split_positions(
    ids: Sequence[str],
    groups: Sequence[str] | None = None,
    *,
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
    seed: int = 0,
) -> tuple[np.ndarray, ...]:
    """Return the split of `make_split` as three int64 arrays of positions in `ids`."""
    if len(set(ids)) != len(ids):
        raise InputError("expected distinct ids to split, got repeated ones")
    if min(fractions) < 0 or sum(fractions) > 1 + 1e-9:
        raise InputError(f"expected three fractions that sum to at most 1, got {fractions}")
    ranks = None if groups is None else _group_ranks(groups, seed)
    order = _ordered(ids, ranks, seed)
    keys = np.arange(len(ids)) if ranks is None else ranks[order]
    cuts = [_next_group(keys, round(f * len(ids))) for f in np.cumsum(fractions)]
    return tuple(order[a:b] for a, b in zip([0, *cuts[:-1]], cuts, strict=True))


def ordered(
    ids: Sequence[str], groups: Sequence[str] | None = None, *, seed: int = 0
) -> np.ndarray:
    """Return (ids,) int64 positions in pseudo-random order; equal groups are adjacent."""
    return _ordered(ids, None if groups is None else _group_ranks(groups, seed), seed)


def nested_subset(ids: Sequence[str], size: int, *, seed: int = 0) -> tuple[str, ...]:
    """Return the first `size` ids of one fixed order: larger subsets contain smaller ones.

    Raises:
      InputError: fewer ids than asked for.

    Examples:
      >>> set(nested_subset("abcdef", 2)) < set(nested_subset("abcdef", 4))
      True
    """
    if not 0 < size <= len(ids):
        raise InputError(f"expected a subset size of 1..{len(ids)}, got {size}")
    return tuple(ids[i] for i in ordered(ids, seed=seed)[:size])


def _ordered(ids: Sequence[str], ranks: np.ndarray | None, seed: int) -> np.ndarray:
    order = _by_hash(ids, seed)
    return order if ranks is None else order[np.argsort(ranks[order], kind="stable")]


def _by_hash(keys: Sequence[str], seed: int) -> np.ndarray:
    """Return the positions of the keys, sorted by (hash, key)."""
    start = f"{seed}:".encode()
    digests = [hashlib.blake2b(start + key.encode(), digest_size=8).digest() for key in keys]
    hashes = np.frombuffer(b"".join(digests), ">u8").astype(np.uint64)
    order = np.argsort(hashes, kind="stable")
    # Equal hashes: the keys decide, so that the order of the input still does not matter.
    ties = np.flatnonzero(np.diff(hashes[order]) == 0)
    for first in ties[np.diff(ties, prepend=-2) > 1]:
        last = first + np.searchsorted(hashes[order[first:]], hashes[order[first]], "right")
        order[first:last] = sorted(order[first:last], key=lambda i: keys[i])
    return order


def _group_ranks(groups: Sequence[str], seed: int) -> np.ndarray:
    """Return the place of each crystal's group in the order of the distinct groups."""
    distinct = list(dict.fromkeys(groups))
    ranks = np.empty(len(distinct), np.int64)
    ranks[_by_hash(distinct, seed)] = np.arange(len(distinct))
    rank_of = dict(zip(distinct, ranks.tolist(), strict=True))
    return np.fromiter((rank_of[g] for g in groups), np.int64, len(groups))


def _next_group(keys: np.ndarray, bound: int) -> int:
    """Return the first start of a group at or after `bound`; equal keys are adjacent."""
    if not 0 < bound < len(keys):
        return bound
    same = keys[bound:] == keys[bound - 1]
    return bound + (len(same) if same.all() else int(np.argmin(same)))
