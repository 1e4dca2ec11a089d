"""Batches of decorations of one prototype, built on the device from their elements alone.

All decorations share one graph, so the compiled function tiles it once per candidate: no neighbor
search, no padding, and one byte per site class is all that is sent to the device. Prototypes with
equal numbers of nodes, edges and classes share a compilation.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax import Array

from cgatjax.config import ModelConfig
from cgatjax.data.batching import default_float
from cgatjax.errors import ConfigError, MismatchError
from cgatjax.graphs.graph_arrays import GraphArrays
from cgatjax.inference.passes import distinct
from cgatjax.inference.predictor import Predictor
from cgatjax.model.network import Method, Network, compiled
from cgatjax.runtime.executors import cores
from cgatjax.screening.first_step import FirstStep, first_step
from cgatjax.screening.template_batches import TemplateArrays, decorated_batch
from cgatjax.screening.templates import Assignments, Template
from cgatjax.structures import reduced_formula

CPU_BYTES, DEVICE_BYTES = 2**22, 2**31
"""Memory for the largest array of a batch, on a CPU (size of its cache) and on other devices."""
MIN_BATCH, MAX_BATCH = 64, 65536
"""Bounds of the number of candidates in a batch."""
UNDER_WAY = 2
"""Batches computed or read at the same time on an accelerator; on CPUs as many as cores."""


class DecoratedPredictor:
    """Predictor for decorations of one template.

    The last batch is filled with copies of its last candidate.
    """

    def __init__(
        self,
        predictor: Predictor,
        template: Template,
        target: str,
        batch_size: int | None = None,
        assignments: Assignments | None = None,
    ) -> None:
        """Copy the weights and the graph to the device.

        Decorations share the first step if `assignments` name the lists that all elements are from.

        Raises:
          MismatchError: the graph has more neighbors per site than the network has shells.
          ConfigError: the model needs properties of the crystals.
        """
        config = predictor.model.config
        if template.graph.max_neighbors > config.max_shells:
            raise MismatchError(
                f"{template.crystal.id!r}: expected at most {config.max_shells} neighbors per site "
                f"(max_shells of the model), got {template.graph.max_neighbors}"
            )
        if predictor.properties:
            raise ConfigError(
                f"the model needs {', '.join(predictor.properties)} of each crystal as a baseline, "
                "which decorations of prototypes do not have; give structures with this property "
                "(a store, or an archive of `cgatjax label`) instead of --elements"
            )
        self.predictor, self.target, self._counts = predictor, target, template.counts
        self.batch_size = batch_size or suitable_batch(config, template)
        run, self._numbers = distinct(predictor.passes)
        self._passes = []
        for model, method in run:
            first = None
            if assignments is not None and method != "composition":
                first = first_step(model, template, assignments)
            known = jax.device_put((model.params, first))
            self._passes.append((compiled(_make_screening, model.network, method), known))
        self._arrays = jax.device_put(TemplateArrays.of(template))

    def __call__(
        self, numbers: np.ndarray, advance: Callable[[int], None] = lambda n: None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Predict mean and standard deviation of (m, classes) decorations, in the unit of the
        target.

        All elements are in the element table of the model; standard deviations are NaN if it
        predicts none. `advance` is called with the number of candidates of each batch that is done.
        """
        if not len(numbers):
            return np.empty(0), np.empty(0)
        wide = default_float() == np.float64

        def predict(batch: np.ndarray) -> list[Any]:
            with jax.enable_x64(wide):  # a setting of the thread
                running = [f(known, self._arrays, batch) for f, known in self._passes]
            found: list[Any] = jax.device_get(running)
            return found

        pool = ThreadPoolExecutor(cores() if _on_cpu() else UNDER_WAY)
        parts = []
        try:
            futures = [pool.submit(predict, batch) for batch in self._batches(numbers)]
            for number, future in enumerate(futures):
                parts.append(future.result())
                advance(min(self.batch_size, len(numbers) - number * self.batch_size))
        finally:  # `advance` raises if the user interrupts
            pool.shutdown(cancel_futures=True)
        outputs = [
            {name: np.concatenate([out[name] for out in found])[: len(numbers)]
             for name in found[0]}
            for found in zip(*parts, strict=True)
        ]  # fmt: skip
        outputs = [outputs[number] for number in self._numbers]
        return self.predictor.moments(self.target, outputs, _Compositions(self._counts, numbers))

    def _batches(self, numbers: np.ndarray) -> Iterator[np.ndarray]:
        size = self.batch_size
        for start in range(0, len(numbers), size):
            rows = np.arange(start, start + size)
            yield numbers[np.minimum(rows, len(numbers) - 1)].astype(np.uint8)


def _on_cpu() -> bool:
    return jax.default_backend() == "cpu"


@dataclass(frozen=True)
class _Compositions:
    """Compositions of m decorations: (classes,) sites of each class, (m, classes) atomic
    numbers.
    """

    counts: np.ndarray
    numbers: np.ndarray

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def ids(self) -> list[str]:
        """Formulas of the candidates, which identify them."""
        return [reduced_formula(row, self.counts) for row in self.numbers]

    def target(self, name: str) -> np.ndarray:
        """Return NaN: decorations have no properties."""
        return np.full(len(self), np.nan)

    def unit(self, name: str) -> str:
        """Return ""."""
        return ""

    def origin(self, name: str) -> str:
        """Return ""."""
        return ""

    def take(self, positions: np.ndarray, /) -> GraphArrays:
        """Return graphs with a node for each class, and without edges."""
        m, n = len(positions), len(self.counts)
        none = np.zeros(0, np.int64)
        return GraphArrays(
            n_node=np.full(m, n),
            n_edge=np.zeros(m, np.int64),
            atomic_numbers=self.numbers[positions].reshape(-1),
            node_multiplicity=np.tile(self.counts, m),
            edge_center=none,
            edge_neighbor=none,
            edge_shell=none,
            weight_numerator=none,
            weight_denominator=none,
        )


def suitable_batch(config: ModelConfig, template: Template) -> int:
    """Choose a batch size whose largest array fits the memory budget of the device."""
    graph, width = template.graph, config.node_dim
    hidden = config.heads * int((2 * width + config.edge_dim) / 1.5)
    # The larger of the weights that the hypernetwork makes per node and the edge messages.
    floats = max(graph.n_nodes * width * (width + 1), graph.n_edges * hidden)
    budget = CPU_BYTES if _on_cpu() else DEVICE_BYTES
    fitting = max(budget // (4 * floats), 1)
    return min(max(2 ** (fitting.bit_length() - 1), MIN_BATCH), MAX_BATCH)


def _make_screening(network: Network, name: Method) -> Callable[..., dict[str, Array]]:
    """Compile a method of the network for decorations.

    The function takes (parameters, shared first step or None), template and (m, classes) elements.
    """
    method, config = getattr(network, name), network.config

    def run(
        known: tuple[Any, FirstStep | None], template: TemplateArrays, numbers: Array
    ) -> dict[str, Array]:
        params, first = known
        mixed = () if first is None else (first.mixed(numbers, config.heads, config.node_dim),)
        outputs = method(params, decorated_batch(template, numbers), *mixed)
        return {name: rows[: len(numbers)] for name, rows in outputs.items()}

    # On CPUs each batch runs on one core, and as many at a time as there are cores: the operations
    # are too small to share. Results then do not depend on the number of cores either.
    options = {"xla_cpu_multi_thread_eigen": False} if _on_cpu() else None
    return jax.jit(run, compiler_options=options)
