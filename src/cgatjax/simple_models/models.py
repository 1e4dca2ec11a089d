"""Simple regression models: mean, ridge on element fractions, trees on composition statistics."""

from typing import Any, Literal, Self, get_args

import numpy as np

from cgatjax.errors import ConfigError, InputError, NotFittedError

Name = Literal["mean", "ridge", "trees", "boosted trees"]
MODELS: tuple[Name, ...] = get_args(Name)
"""Names of the models, from the simplest on."""
_PENALTIES = np.logspace(-4, 3, 15)
"""Candidate penalties of the ridge regression, on standardized features."""
_TREES = 300


class SimpleModel:
    """Regression on the features of `composition_features`, without a network.

    - "mean": mean of the training values.
    - "ridge": linear regression with an L2 penalty, chosen by leave-one-out errors in closed form.
    - "trees": extremely randomized trees (Geurts et al., Mach. Learn. 63 (2006) 3).
    - "boosted trees": gradient boosting on histograms, as in LightGBM.

    All are fitted by scikit-learn. No prediction leaves the range of the training values, as a line
    would far from them.

    Attributes:
      name: name of the model.
      seed: random seed of the trees.

    Examples:
      >>> x, y = np.arange(20.0)[:, None], 2 * np.arange(20.0)
      >>> SimpleModel("mean").fit(x, y).predict(x[:1]).tolist()
      [19.0]
      >>> SimpleModel("ridge").fit(x, y).predict(x[:3]).round(2).tolist()
      [0.0, 2.0, 4.0]
    """

    def __init__(self, name: Name, *, seed: int = 0) -> None:
        if name not in MODELS:
            raise ConfigError(f"expected one of the models {list(MODELS)}, got {name!r}")
        self.name, self.seed = name, seed
        self._fitted: Any = None
        self._columns = np.zeros(0, bool)
        self._range = (0.0, 0.0)

    def __repr__(self) -> str:
        return f"SimpleModel({self.name!r}, seed={self.seed})"

    def fit(self, x: np.ndarray, y: np.ndarray) -> Self:
        """Fit to features (n, features), NaN where unknown, and finite values (n,).

        Raises:
          InputError: wrong shapes, fewer than two rows, or values that are not finite.
        """
        x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        if x.ndim != 2 or y.shape != (len(x),) or len(x) < 2 or not np.isfinite(y).all():
            raise InputError(
                f"expected features (n, features) and n >= 2 finite values, got {x.shape} and "
                f"{y.shape}{'' if np.isfinite(y).all() else ' with NaN or infinity'}"
            )
        # The models of scikit-learn refuse features that no row knows.
        self._columns, self._range = np.isfinite(x).any(0), (float(y.min()), float(y.max()))
        self._fitted = _regressor(self.name, self.seed, len(y)).fit(x[:, self._columns], y)
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Predict the values (n,) of features (n, features).

        Raises:
          NotFittedError: called before `fit`.
        """
        if self._fitted is None:
            raise NotFittedError(f"{self!r} is not fitted yet; call fit first")
        x = np.asarray(x, np.float64)[:, self._columns]
        return np.clip(np.asarray(self._fitted.predict(x), np.float64), *self._range)


def _regressor(name: Name, seed: int, n: int) -> Any:
    """Make a regressor of scikit-learn for n rows."""
    from sklearn.dummy import DummyRegressor
    from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if name == "mean":
        return DummyRegressor()
    if name == "ridge":
        return make_pipeline(SimpleImputer(), StandardScaler(), RidgeCV(_PENALTIES * n))
    if name == "trees":
        return ExtraTreesRegressor(_TREES, max_features=0.5, random_state=seed)
    return HistGradientBoostingRegressor(
        loss="squared_error",
        max_iter=500,
        learning_rate=0.05,
        max_leaf_nodes=15,
        min_samples_leaf=10,
        l2_regularization=1.0,
        max_features=0.3,
        random_state=seed,
    )
