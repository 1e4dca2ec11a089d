"""Neighbor shells: groups of neighbors at equal distances, within a tolerance."""

import numpy as np

from cgatjax.config import GraphConfig


def shell_indices(distance: np.ndarray, config: GraphConfig) -> np.ndarray:
    """Number the shells of sorted distances (n, K), ascending along the second axis, from 1.

    The index increases by one at every neighbor that is farther than the current shell's *first*
    distance by more than the tolerance, absolute or relative to it (`CGAT/prepare_data.py`).
    """
    step = distance[:, 1:] > shell_boundary(distance[:, :-1], config)
    shell = np.ones(distance.shape, dtype=np.int64)
    np.cumsum(step, axis=1, out=shell[:, 1:])
    shell[:, 1:] += 1
    # Comparing consecutive distances is vectorized over all sites. It differs from the rule where
    # small steps add up to more than the tolerance within a shell: redo those rows.
    first = np.maximum.accumulate(np.where(_starts(shell), distance, 0.0), axis=1)
    drifts = (distance > shell_boundary(first, config)).any(axis=1)
    if drifts.any():
        shell[drifts] = _indices_by_column(distance[drifts], config)
    return shell


def _indices_by_column(distance: np.ndarray, config: GraphConfig) -> np.ndarray:
    """Number the shells as stated in `shell_indices`, one column after the other."""
    shell = np.ones(distance.shape, dtype=np.int64)
    first = distance[:, 0].copy()
    for column in range(1, distance.shape[1]):
        is_farther = distance[:, column] > shell_boundary(first, config)
        first[is_farther] = distance[is_farther, column]
        shell[:, column] = shell[:, column - 1] + is_farther
    return shell


def _starts(shell: np.ndarray) -> np.ndarray:
    """Return (n, K) bool, True where a shell begins."""
    begins = np.ones(shell.shape, dtype=bool)
    np.not_equal(shell[:, 1:], shell[:, :-1], out=begins[:, 1:])
    return begins


def shell_boundary(first: np.ndarray, config: GraphConfig) -> np.ndarray:
    """Return the largest distance in the shell that begins at `first`."""
    if config.tolerance_kind == "absolute":
        return first + config.shell_tolerance
    # Relative: a scaled cell has the same shells, and predictions do not depend on the volume.
    return first * (1.0 + config.shell_tolerance)
