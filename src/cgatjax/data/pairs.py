"""Pairs of the same crystal in two data sets: the values of two functionals side by side.

Crystals are joined by id, then by graph (`cgatjax.graphs.hashes`), then, if wanted, by formula. A
key that several crystals of one data set share pairs none of them: which of two polymorphs is meant
is not guessed.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from cgatjax.config import DuplicateKey
from cgatjax.data.datasets import Dataset
from cgatjax.data.overlap import compare
from cgatjax.data.store import Store
from cgatjax.data.store_writer import store_rows
from cgatjax.errors import ConfigError, InputError, MismatchError, TargetError
from cgatjax.runtime import require_new, write_csv
from cgatjax.structures import formula_terms

FOLDS = 5
"""Parts of the pairs in the fit in the composition; each is predicted from the others."""

RIDGE = 1e-3
"""Penalty on squared weights of the fit; elements that are in no other part get none."""

_FUNCTIONAL_ENDING = re.compile(r"-(?:pbe|pbesol|scan|r2scan)$", re.IGNORECASE)
"""Ending that LeMat-Bulk adds to the ids of its sources."""

_HEADER = ("id", "low_id", "by", "formula", "low", "high", "difference")


@dataclass(frozen=True, kw_only=True)
class PairingStep:
    """Result of one key, for the crystals that the keys before it left.

    Attributes:
      by: the key.
      n_pairs: pairs that it found.
      ambiguous: high-fidelity crystals whose key several crystals of one data set share.
      conflicts: pairs of one id with two formulas, which are no pairs.
    """

    by: str
    n_pairs: int
    ambiguous: int
    conflicts: int


@dataclass(frozen=True, kw_only=True)
class PairStatistics:
    """Relation of the low- and high-fidelity values of pairs.

    Attributes:
      n: number of pairs.
      mean, std: mean and standard deviation (n - 1) of high minus low.
      mae: mean absolute difference: the error of the low-fidelity value itself.
      correlation: Pearson's, NaN for fewer than two pairs or constant values.
      mae_after_fit: mean absolute rest of the difference after a linear fit in the atomic fractions
        of the elements, each fifth of the formulas predicted from the others; NaN for fewer than
        five formulas.
    """

    n: int
    mean: float
    std: float
    mae: float
    correlation: float
    mae_after_fit: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Pairs:
    """Pairs of crystals with known values of a low- and a high-fidelity property.

    Attributes:
      target, low_target: high- and low-fidelity property.
      unit: their unit.
      low_ids, high_ids: ids of the pairs.
      by: key that found each pair.
      formulas: reduced formulas.
      low, high: (pairs,) values.
      steps: result of each key, in order.
      n_low, n_high: crystals of the data sets with a known value.
    """

    target: str
    low_target: str
    unit: str
    low_ids: Sequence[str]
    high_ids: Sequence[str]
    by: Sequence[str]
    formulas: Sequence[str]
    low: np.ndarray
    high: np.ndarray
    steps: Sequence[PairingStep]
    n_low: int
    n_high: int

    def __len__(self) -> int:
        return len(self.high_ids)

    @property
    def difference(self) -> np.ndarray:
        """(pairs,) high minus low."""
        return self.high - self.low

    def statistics(self) -> PairStatistics:
        """Compare the values.

        Raises:
          TargetError: there are no pairs.
        """
        if not len(self):
            raise TargetError(f"no pairs of {self.low_target!r} and {self.target!r}")
        d = self.difference
        is_varied = len(d) > 1 and np.ptp(self.low) > 0 and np.ptp(self.high) > 0
        return PairStatistics(
            n=len(d),
            mean=float(d.mean()),
            std=float(d.std(ddof=1)) if len(d) > 1 else math.nan,
            mae=float(np.abs(d).mean()),
            correlation=float(np.corrcoef(self.low, self.high)[0, 1]) if is_varied else math.nan,
            mae_after_fit=_rest_after_fit(self.formulas, d),
        )

    def write(self, path: str | Path) -> None:
        """Write a CSV with a row for each pair; `id` is that of the high-fidelity crystal.

        Raises:
          RunExistsError: the file exists.
        """
        values = zip(self.low.tolist(), self.high.tolist(), self.difference.tolist(), strict=True)
        names = zip(self.high_ids, self.low_ids, self.by, self.formulas, strict=True)
        unit = f" [{self.unit}]" if self.unit else ""
        header = [name + unit if name in _HEADER[4:] else name for name in _HEADER]
        rows = ((*n, *map(repr, v)) for n, v in zip(names, values, strict=True))
        require_new(path)
        write_csv(Path(path), [header, *rows])

    def write_store(self, high: Store, out: str | Path, *, low_name: str | None = None) -> Store:
        """Write the high-fidelity store again with the low-fidelity value as a further property.

        It is missing for crystals without a pair, and serves as a baseline in training.

        Args:
          high: the store that was paired.
          out: folder to create.
          low_name: name of the low-fidelity property; None for `low_target`.

        Raises:
          ConfigError: the store has a property of this name.
          RunExistsError: `out` exists.
        """
        low_name = low_name or self.low_target
        if low_name in high.units:
            raise ConfigError(f"{high.path} has {low_name!r} already; give another name")
        units, columns = {**high.units, low_name: self.unit}, {low_name: self.low}
        rows = high.rows_of(self.high_ids)
        return store_rows(
            _with_columns(high, rows, columns),
            out,
            high.graph_config,
            units=units,
            origins=high.origins,
            reduced=high.reduced,
        )


def pairs(
    low: Store | Dataset,
    high: Store | Dataset,
    target: str,
    *,
    low_target: str | None = None,
    by: Sequence[DuplicateKey] = ("id", "graph"),
) -> Pairs:
    """Find the same crystals in two data sets, or in one for two of its properties.

    Args:
      low: low-fidelity crystals; only those with a value of `low_target` count.
      high: high-fidelity crystals; only those with a value of `target` count.
      target: high-fidelity property.
      low_target: low-fidelity property; None for `target`.
      by: keys in order; each joins what those before it left. Ids are compared without the ending
        -pbe, -pbesol, -scan or -r2scan; "formula" joins the only crystals of a composition, which
        may be different polymorphs.

    Raises:
      TargetError: a property is missing.
      MismatchError: graphs of different options, or properties of different units.
      InputError: an unknown key, or "prototype", which joins different compounds.
    """
    if "prototype" in by or not by or len(set(by)) != len(by):
        raise InputError(f"by: expected some of id, graph and formula, got {list(by)}")
    low_target = low_target or target
    units = {low.unit(low_target), high.unit(target)} - {""}
    if len(units) > 1:
        raise MismatchError(f"{low_target!r} and {target!r}: expected one unit, got {units}")
    low, high = _known(low, low_target), _known(high, target)
    if not len(low) or not len(high):
        raise TargetError(f"no crystal has a value of {(high if len(low) else low)!r}")
    keys = compare({"low": low, "high": high}, list(dict.fromkeys([*by, "formula"]))).keys
    formulas = keys["formula"]
    left = {"low": set(range(len(low))), "high": set(range(len(high)))}
    found: list[tuple[int, int, str]] = []
    steps = []
    for key in by:
        values = keys[key]
        if key == "id":
            values = {k: [_FUNCTIONAL_ENDING.sub("", v) for v in ids] for k, ids in values.items()}
        joined, ambiguous = _joined(values, left)
        same = [p for p in joined if formulas["low"][p[0]] == formulas["high"][p[1]]]
        found += [(i, j, key) for i, j in same]
        left["low"] -= {i for i, _ in same}
        left["high"] -= {j for _, j in same}
        conflicts = len(joined) - len(same)
        steps.append(
            PairingStep(by=key, n_pairs=len(same), ambiguous=ambiguous, conflicts=conflicts)
        )
    found.sort(key=lambda pair: pair[1])
    low_rows, high_rows = (np.array([pair[k] for pair in found], np.int64) for k in (0, 1))
    low_ids, high_ids = low.ids, high.ids
    return Pairs(
        target=target,
        low_target=low_target,
        unit=next(iter(units), ""),
        low_ids=[low_ids[i] for i in low_rows],
        high_ids=[high_ids[i] for i in high_rows],
        by=[key for _, _, key in found],
        formulas=[formulas["high"][i] for i in high_rows],
        low=low.target(low_target)[low_rows],
        high=high.target(target)[high_rows],
        steps=steps,
        n_low=len(low),
        n_high=len(high),
    )


def _known(data: Store | Dataset, target: str) -> Dataset:
    """Return the crystals with a value of a target."""
    whole = data.all() if isinstance(data, Store) else data
    return whole.select(np.isfinite(whole.target(target)))


def _joined(
    keys: Mapping[str, Sequence[str]], left: Mapping[str, set[int]]
) -> tuple[list[tuple[int, int]], int]:
    """Join the remaining crystals by keys that are unique in both data sets, to pairs of positions.

    The number is that of high-fidelity crystals with an ambiguous key.
    """
    counts = {name: Counter(keys[name][i] for i in left[name]) for name in ("low", "high")}
    place = {keys["low"][i]: i for i in left["low"]}
    joined, ambiguous = [], 0
    for j in sorted(left["high"]):
        key = keys["high"][j]
        if key not in place:
            continue
        if counts["low"][key] > 1 or counts["high"][key] > 1:
            ambiguous += 1
        else:
            joined.append((place[key], j))
    return joined, ambiguous


def _rest_after_fit(formulas: Sequence[str], values: np.ndarray) -> float:
    """Return the mean absolute error of a cross-validated linear fit in the atomic fractions."""
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.linear_model import Ridge
    from sklearn.preprocessing import normalize

    distinct = sorted(set(formulas))
    if len(distinct) < FOLDS:
        return math.nan
    order = np.random.default_rng(0).permutation(len(distinct))
    fold_of = {formula: int(order[k]) % FOLDS for k, formula in enumerate(distinct)}
    folds = np.array([fold_of[formula] for formula in formulas])
    amounts = DictVectorizer().fit_transform([dict(formula_terms(f)) for f in formulas])
    fractions = normalize(amounts, "l1")
    rest = np.empty(len(values))
    for fold in range(FOLDS):
        chosen = folds == fold
        mean = values[~chosen].mean()
        fit = Ridge(RIDGE, fit_intercept=False, solver="cholesky")
        fit.fit(fractions[~chosen], values[~chosen] - mean)
        rest[chosen] = values[chosen] - mean - fit.predict(fractions[chosen])
    return float(np.abs(rest).mean())


def _with_columns(
    store: Store, rows: np.ndarray, columns: Mapping[str, np.ndarray]
) -> Iterator[pa.RecordBatch]:
    """Yield the shards of a store with further columns, NaN outside of the given rows."""
    start = 0
    for shard in store.shards:
        rows_here = shard.table
        inside = (rows >= start) & (rows < start + len(shard))
        for name, values in columns.items():
            column = np.full(len(shard), np.nan)
            column[rows[inside] - start] = values[inside]
            rows_here = rows_here.append_column(name, pa.array(column, from_pandas=True))
        yield rows_here
        start += len(shard)
