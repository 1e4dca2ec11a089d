"""Scikit-learn estimator of crystal graph attention networks.

By the conventions of scikit-learn the constructor stores its arguments unchanged, and `fit` sets
attributes that end in "_".
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin

import cgatjax as cg
from cgatjax.config import PRESETS
from cgatjax.data.graph_list import GraphList
from cgatjax.inference.new_graphs import featurized
from cgatjax.model.normalizer import SOURCE
from cgatjax.structures.inputs import is_single
from cgatjax.training.target_fit import NONE


class CGATRegressor(RegressorMixin, BaseEstimator):
    """Crystal graph attention network as a scikit-learn regressor.

    Structures are pymatgen `Structure`s, ASE `Atoms` or `Crystal`s, in a list or an object array.
    Values are of one property, per atom if extensive.

    Attributes:
      model_: trained `Model`, after `fit`; the predictor of `of`.
      history_: training history, after `fit`.
    """

    model_: cg.Model | cg.Predictor

    def __init__(
        self,
        *,
        preset: Literal["small", "released", "paper"] = "small",
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        loss: str | None = None,
        network: Mapping[str, Any] | None = None,
        training: Mapping[str, Any] | None = None,
        graph: cg.GraphConfig | Mapping[str, Any] | None = None,
        start_from: cg.Model | str | Path | None = None,
        mode: Literal["full", "head", "none"] = "full",
        baseline: str | None = None,
        references: bool = False,
        target: str | None = None,
        unit: str = "",
        valid_fraction: float = 0.1,
        random_state: int = 0,
        verbose: bool = False,
    ) -> None:
        """Store the arguments; `fit` checks them.

        Args:
          preset: preset of network and training options.
          epochs: number of epochs; None for the preset, as in the next three.
          batch_size: crystals per step.
          learning_rate: peak learning rate.
          loss: "l1" or "l2", or "robust_l1" or "robust_l2", which predict aleatoric standard
            deviations.
          network: further options of `ModelConfig`, such as {"steps": 4}.
          training: further options of `TrainConfig`, such as {"schedule": "plateau"}.
          graph: graph options, or a dictionary of them; None for the recommended ones.
          start_from: pre-trained model, or its folder or run folder, for transfer learning; brings
            its network and graph options.
          mode: transfer mode.
          baseline: low-fidelity value to learn the difference to: "cell_volume", a property of the
            structures (of `structure.properties` or `atoms.info`), for prediction, too, or with
            `start_from` "source", its prediction.
          references: fit a value per element, and learn the rest.
          target: name of the property; None for that of `start_from`, or "target".
          unit: unit of the values; "" for that of `start_from` if it predicts this property.
          valid_fraction: fraction of the training crystals to use as validation set.
          random_state: random seed for initial weights, batches and validation set.
          verbose: show a progress bar on standard error.
        """
        self.preset = preset
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.loss = loss
        self.network = network
        self.training = training
        self.graph = graph
        self.start_from = start_from
        self.mode = mode
        self.baseline = baseline
        self.references = references
        self.target = target
        self.unit = unit
        self.valid_fraction = valid_fraction
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def of(cls, model: cg.Model | cg.Predictor | str | Path) -> Self:
        """Make a fitted regressor of a trained model, whatever kind it is.

        Args:
          model: a model or predictor of one property, such as that of `cgatjax.adapt`, or its name
            or folder.

        Raises:
          InputError: there is no model, or it predicts several properties.
        """
        predictor = (
            cg.load_predictor(model) if isinstance(model, str | Path) else cg.Predictor.of(model)
        )
        if len(predictor.targets) != 1:
            raise cg.InputError(f"expected a model of one property, got {list(predictor.targets)}")
        made = cls(target=predictor.targets[0], unit=predictor.units[predictor.targets[0]])
        made.model_ = predictor
        return made

    def fit(self, structures: Iterable[Any], y: Any) -> Self:
        """Train a network.

        Args:
          structures: n structures.
          y: (n,) finite values.

        Raises:
          InputError: no structures, wrong shapes, or values that are not finite.
          StructureError: a structure cannot be used.
          ConfigError: an argument of the estimator is invalid.
        """
        start = self._start()
        graph_config = self._graph_config(start)
        names = self._properties(start)
        known = GraphList.of(_graphs(structures, graph_config, names), graph_config, names)
        values = _values(y, len(known))
        target = self.target or (start.targets[0] if start else "target")
        unit = self.unit or _unit_of(target, start)
        columns = {name: known.target(name) for name in names if name != target}
        data = GraphList(
            known.graphs,
            graph_config,
            {**columns, target: values},
            {**known.units, target: unit},
            {name: known.origin(name) for name in columns},
        )
        train, valid = self._split(data)
        self.model_, self.history_ = self._train(start, target, train, valid)
        return self

    def predict(
        self, structures: Iterable[Any], return_std: bool = False
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Predict the property of structures, relaxed or not.

        Args:
          structures: n structures.
          return_std: also return standard deviations; needs training with a robust loss.

        Returns:
          (n,) float64 predictions, or a tuple of these and (n,) standard deviations.

        Raises:
          NotFittedError: called before `fit`.
          StructureError: a structure cannot be used.
          ConfigError: the model predicts no standard deviations.
        """
        model = self._model()
        found = cg.predict(model, _listed(structures), show_progress=self.verbose)
        target = model.targets[0]
        if not return_std:
            return found.means[target]
        if not np.isfinite(found.stds[target]).all():
            raise cg.ConfigError(
                'return_std: the model has no standard deviations; train it with loss="robust_l1" '
                'or loss="robust_l2"'
            )
        return found.means[target], found.stds[target]

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    def __sklearn_tags__(self) -> Any:
        """Describe the estimator to scikit-learn: it reads objects instead of arrays."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        return tags

    def _model(self) -> cg.Model | cg.Predictor:
        if not self.__sklearn_is_fitted__():
            raise cg.NotFittedError(f"this {type(self).__name__} is not fitted yet; call fit first")
        return self.model_

    def _start(self) -> cg.Model | None:
        start = self.start_from
        model = cg.load_model(start) if isinstance(start, str | Path) else start
        if model is not None and self.network is not None:
            raise cg.ConfigError("network: start_from brings its own network; give one of the two")
        if model is not None and len(model.targets) > 1 and self.target is None:
            raise cg.ConfigError(f"target: start_from predicts {list(model.targets)}; choose one")
        return model

    def _graph_config(self, start: cg.Model | None) -> cg.GraphConfig:
        if start is not None and self.graph not in (None, start.graph_config):
            raise cg.ConfigError("graph: start_from brings its own options; give one of the two")
        given = self.graph or cg.GraphConfig.recommended()
        return start.graph_config if start else cg.GraphConfig.of(given)

    def _properties(self, start: cg.Model | None) -> list[str]:
        """List the properties of the structures that training needs: the baselines."""
        names = [] if start is None else list(cg.Predictor.of(start).properties)
        if self.baseline not in (None, SOURCE, NONE):
            names.append(str(self.baseline))
        return list(dict.fromkeys(names))

    def _split(self, data: GraphList) -> tuple[cg.Dataset, cg.Dataset]:
        """Split the data into training and validation set at random."""
        n = len(data)
        if n < 2 or not 0 < self.valid_fraction < 1:
            raise cg.InputError(
                "expected at least 2 structures and a valid_fraction between 0 and 1, got "
                f"{n} sample(s) and valid_fraction={self.valid_fraction!r}"
            )
        n_valid = min(max(1, round(self.valid_fraction * n)), n - 1)
        order = np.random.default_rng(self.random_state).permutation(n)
        return cg.Dataset(data, np.sort(order[n_valid:])), cg.Dataset(
            data, np.sort(order[:n_valid])
        )

    def _train(
        self, start: cg.Model | None, target: str, train: cg.Dataset, valid: cg.Dataset
    ) -> tuple[cg.Model, cg.History]:
        if self.preset not in PRESETS:
            raise cg.ConfigError(f"preset: expected one of {list(PRESETS)}, got {self.preset!r}")
        make_network, make_training = PRESETS[self.preset]
        names = ("epochs", "batch_size", "learning_rate", "loss")
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        known = {"baseline": self.baseline, "references": self.references}
        changes = {**known, **(self.training or {}), **given, "seed": self.random_state}
        config = make_training().replace(**changes)
        if start is not None:
            transfer = cg.TransferConfig(mode=self.mode, target=target, train=config)
            return cg.transfer_model(start, (train, valid), transfer, show_progress=self.verbose)
        network = make_network().replace(**(self.network or {}))
        model = cg.init_model(network, train, target=target, seed=self.random_state)
        return cg.fit(model, train, valid, config, show_progress=self.verbose)


def _unit_of(target: str, start: cg.Model | None) -> str:
    """Look up the unit of a property, possibly at another level of theory, in a model."""
    units = {} if start is None else start.units
    same = (unit for t, unit in units.items() if t.split("@")[0] == target.split("@")[0])
    return units.get(target) or next(same, "")


def _listed(structures: Iterable[Any]) -> list[Any]:
    """Convert to a list, and refuse a single structure (a `Structure` iterates over sites)."""
    if is_single(structures) or not isinstance(structures, Iterable):
        raise cg.InputError(
            f"expected a list of structures, got a single {type(structures).__name__}; put it "
            "into a list"
        )
    # A data frame iterates over the names of its columns, an array over its rows.
    shape: tuple[int, ...] = getattr(structures, "shape", ())
    if len(shape) == 2:
        if shape[1] != 1:
            columns = f", got the columns {list(getattr(structures, 'columns', range(shape[1])))}"
            raise cg.InputError(
                f"expected one column of structures{columns:.300}; give that of the structures, "
                "such as df['structure']"
            )
        structures = np.asarray(structures, object)[:, 0]
    listed = list(structures)
    if not listed:
        raise cg.InputError("expected structures, got 0 sample(s)")
    return listed


def _graphs(
    structures: Iterable[Any], config: cg.GraphConfig, names: Sequence[str]
) -> list[tuple[cg.CrystalGraph, cg.Crystal]]:
    """Make the reduced graph of each structure, and read the named properties."""
    listed = _listed(structures)
    graphs = []
    for item in cg.read_crystals(listed, targets=names):
        if isinstance(item, cg.Rejected):
            raise item.error()
        graph = featurized(item, config, names)
        if isinstance(graph, cg.Rejected):
            raise graph.error()
        graphs.append((graph, item))
    return graphs


def _values(y: Any, n: int) -> np.ndarray:
    """Check and convert target values to (n,) float64."""
    if y is None:
        raise cg.InputError("requires y to be passed, but the target y is None")
    try:
        values = np.asarray(y, np.float64)
    except (TypeError, ValueError) as error:
        raise cg.InputError(f"expected numbers as y: {error}") from error
    if values.shape != (n,):
        raise cg.InputError(
            f"expected y of shape ({n},), one value per structure, got {values.shape}"
        )
    if not np.isfinite(values).all():
        raise cg.InputError("expected finite values of y, got NaN or infinity; leave them out")
    return values
