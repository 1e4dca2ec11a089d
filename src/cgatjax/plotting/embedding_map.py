"""Embedding map: crystal embeddings in two dimensions, colored by an error or a property."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from cgatjax.errors import InputError, MissingExtraError
from cgatjax.plotting.style import COLOR_SCALE, color_range, new_figure, with_unit, wrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NEIGHBORS = 15
"""Number of neighbors for UMAP; its default."""
_BRIGHTEST = 0.99
"""Quantile at the end of the color scale, so that few outliers do not set the scale."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Projection:
    """Embeddings projected to a plane.

    Attributes:
      points: (n, 2) coordinates.
      axes: labels of the axes.
      text: short description of the method.
    """

    points: np.ndarray
    axes: tuple[str, str]
    text: str


def project(
    embeddings: np.ndarray, method: Literal["pca", "tsne", "umap"] | str = "pca", *, seed: int = 0
) -> Projection:
    """Project embeddings to a plane.

    "pca" keeps the two directions of largest variance: distances in the plane are at most those of
    the embeddings, and the axis labels give the explained variance. "tsne" and "umap" preserve
    neighborhoods only: distances between clusters have little meaning.

    Args:
      embeddings: (n, d) embeddings.
      method: "pca", "tsne" or "umap" (extra "umap").
      seed: random seed for t-SNE and UMAP.

    Raises:
      InputError: no points, numbers that are not finite, or an unknown method.
      MissingExtraError: the library for the method is not installed.
    """
    points = np.asarray(embeddings, np.float64)
    if points.ndim != 2 or len(points) == 0 or not np.isfinite(points).all():
        raise InputError(f"expected finite embeddings (n, d), got an array {points.shape}")
    if method == "pca":
        return principal_components(points)
    if method not in ("tsne", "umap"):
        raise InputError(f"expected the method 'pca', 'tsne' or 'umap', got {method!r}")
    if len(points) < 4:
        raise InputError(f"{method} needs at least 4 crystals, got {len(points)}; use pca")
    plane = _tsne(points, seed) if method == "tsne" else _umap(points, seed)
    name = {"tsne": "t-SNE", "umap": "UMAP"}[method]
    return Projection(points=plane, axes=(f"{name} 1", f"{name} 2"), text=f"{name}, seed {seed}")


def principal_components(points: np.ndarray) -> Projection:
    """Project to the two directions of largest variance; their largest entries are positive."""
    centered = points - points.mean(0)
    _, sizes, directions = np.linalg.svd(centered, full_matrices=False)
    directions = directions[:2]
    largest = np.abs(directions).argmax(1)
    directions = directions * np.sign(directions[np.arange(len(directions)), largest])[:, None]
    plane = np.zeros((len(points), 2))
    plane[:, : len(directions)] = centered @ directions.T
    variance = np.zeros(2)
    variance[: len(directions)] = sizes[:2] ** 2 / max(float((sizes**2).sum()), 1e-300)
    first, second = (f"principal component {k + 1} ({v:.0%})" for k, v in enumerate(variance))
    text = f"two principal components, {variance.sum():.0%} of the variance"
    return Projection(points=plane, axes=(first, second), text=text)


def embedding_map(
    projection: Projection,
    values: np.ndarray,
    *,
    label: str = "value",
    unit: str = "",
    title: str = "",
    log: bool = False,
) -> "Figure":
    """Draw projected embeddings colored by a value, with the largest values on top.

    Args:
      projection: embeddings from `project`.
      values: (n,) values; crystals without a finite value are small and gray.
      label: label of the color bar.
      unit: unit of the values.
      title: title of the figure.
      log: logarithmic colors; values that are not positive count as unknown.

    Raises:
      InputError: lengths that differ.
    """
    values = np.asarray(values, np.float64)
    if values.shape != (len(projection.points),):
        raise InputError(f"expected {len(projection.points)} values, got shape {values.shape}")
    known = np.isfinite(values) & ((values > 0) | (not log))
    figure, (axes,) = new_figure(6.4, 5.0)
    size = float(np.clip(10000 / len(values), 3, 30))
    x, y = projection.points.T
    axes.scatter(x[~known], y[~known], s=size / 2, color="0.8", linewidths=0, zorder=1)
    if known.any():
        order = np.flatnonzero(known)[np.argsort(values[known], kind="stable")]
        low, high = np.quantile(values[known], [0.01 if log else 0, _BRIGHTEST])
        drawn = axes.scatter(
            x[order],
            y[order],
            c=values[order],
            cmap=COLOR_SCALE,
            s=size,
            norm=color_range(low, high, log=log),
            linewidths=0,
            zorder=2,
        )
        ends = "both" if log else "max"
        figure.colorbar(drawn, ax=axes, label=with_unit(label, unit), extend=ends)
    axes.set_xlabel(projection.axes[0])
    axes.set_ylabel(projection.axes[1])
    axes.set_title(wrapped(title, 6.4))
    return figure


def _tsne(points: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(points) - 1) / 3)
    model = TSNE(perplexity=perplexity, random_state=seed, init="pca")
    return np.asarray(model.fit_transform(points), np.float64)


def _umap(points: np.ndarray, seed: int) -> np.ndarray:
    try:
        from umap import UMAP
    except ImportError as error:
        raise MissingExtraError(
            "UMAP needs umap-learn: pip install umap-learn, or use pca"
        ) from error
    model = UMAP(n_neighbors=min(NEIGHBORS, len(points) - 1), random_state=seed, n_jobs=1)
    return np.asarray(model.fit_transform(points), np.float64)
