"""Interpretability: attention weights of one crystal, and the atoms' weights in pooling.

The network sows its attention scores (`Network.attention`), which costs nothing when nobody asks
for them. From the scores, in float64:

    bond attention   w exp(s) / sum of w exp(s) over the edges of one receiver, per step and head
    atom weight      m exp(s) / sum of m exp(s) over the nodes of the crystal, per head

w is the number of neighbors that an edge stands for as seen by one site of the receiver's class, m
the number of sites of a node (docs/concepts/network.md, savings 3 and 4). With vector attention
each channel has weights of its own; theirs is the mean, which sums to one, too.
"""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from cgatjax.data.batching import assemble, snug_budget
from cgatjax.data.graph_list import GraphList
from cgatjax.graphs.bond_vectors import bond_vectors
from cgatjax.graphs.crystal_graph import CrystalGraph, featurize
from cgatjax.graphs.graph_arrays import GraphArrays
from cgatjax.graphs.reduction import reduce_graph
from cgatjax.inference.prediction import predict
from cgatjax.inference.prediction_table import Predictions
from cgatjax.inference.predictor import Predictor
from cgatjax.model.model import Model
from cgatjax.nn.cgat import oriented
from cgatjax.structures import SYMBOLS, Crystal, readable_formula, reduced_formula, to_crystal
from cgatjax.structures.readers import read_crystals


@dataclass(frozen=True, eq=False, kw_only=True)
class Explanation:
    """Attention of a network to the bonds and atoms of one crystal.

    Attributes:
      graph: the crystal's graph; the arrays below follow its edges and sites.
      crystal: its coordinates, None where only a graph was given.
      vectors: (edges, 3) from center to neighbor in angstrom, None without coordinates.
      receivers, senders: (edges,) int64 nodes; messages run from sender to receiver.
      bond_attention: (steps, heads, edges) float64; sums to one over the edges of a receiver.
      even_share: (edges,) float64, the attention that all edges of a receiver would have if every
        neighbor had the same weight.
      atom_weights: (heads, sites) float64, share of each site in the pooling; sums to one.
      site_class: (sites,) int64, equal for sites that no network can tell apart.
      embedding: (`config.embedding_dim`,) of the crystal; of an ensemble the first member's, as all
        of the above.
      predictions: of the crystal, for all targets.
    """

    graph: CrystalGraph
    crystal: Crystal | None
    vectors: np.ndarray | None
    receivers: np.ndarray
    senders: np.ndarray
    bond_attention: np.ndarray
    even_share: np.ndarray
    atom_weights: np.ndarray
    site_class: np.ndarray
    embedding: np.ndarray
    predictions: Predictions

    def __repr__(self) -> str:
        return f"Explanation({self.graph!r}; {len(self.bond_attention)} steps)"

    @property
    def elements(self) -> list[str]:
        """Chemical symbols of the sites."""
        numbers = self.graph.atomic_numbers[self.graph.site_class]
        return [SYMBOLS[z] for z in numbers]

    @property
    def formula(self) -> str:
        """Reduced formula of the crystal."""
        numbers = self.graph.atomic_numbers[self.graph.site_class]
        return readable_formula(reduced_formula(numbers))

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values for JSON, one entry per site and bond."""
        found, targets = self.predictions, self.predictions.means
        return {
            "id": self.graph.id,
            "formula": self.formula,
            "predictions": {
                t: {
                    "mean": float(found.means[t][0]),
                    "std": _number(found.stds[t][0]),
                    "unit": found.units[t],
                    "std_note": found.std_notes[t],
                }
                for t in targets
            },
            "embedding": self.embedding.tolist(),
            "sites": self._sites(),
            "bonds": self._bonds(),
        }

    def _sites(self) -> list[dict[str, Any]]:
        """List the sites; `weight` has a number for each head."""
        places = None if self.crystal is None else self.crystal.frac_coords.tolist()
        return [
            {
                "element": element,
                "class": int(self.site_class[i]),
                "node": int(self.graph.site_class[i]),
                **({} if places is None else {"frac_coords": places[i]}),
                "weight": self.atom_weights[:, i].tolist(),
            }
            for i, element in enumerate(self.elements)
        ]

    def _bonds(self) -> list[dict[str, Any]]:
        """List the edges; `attention` has a list of heads for each step."""
        graph, by_edge = self.graph, np.moveaxis(self.bond_attention, -1, 0).tolist()
        weights, vectors = graph.edge_weight.tolist(), self.vectors
        return [
            {
                "center": int(graph.edge_center[k]),
                "neighbor": int(graph.edge_neighbor[k]),
                "shell": int(graph.edge_shell[k]),
                "count": weights[k],
                "receiver": int(self.receivers[k]),
                "even_share": float(self.even_share[k]),
                **({} if vectors is None else {"vector": vectors[k].tolist()}),
                "attention": attention,
            }
            for k, attention in enumerate(by_edge)
        ]


def explain(model: Model | Predictor, structure: Any, *, id: str = "") -> Explanation:
    """Compute attention weights, atom weights, embedding and predictions of one crystal.

    Args:
      model: a model; of an ensemble, attention is the first member's, predictions are of all.
      structure: a `Crystal`, a pymatgen `Structure` or an ASE `Atoms`, whose sites and bonds are
        listed one by one; or a `CrystalGraph`, reduced or not.
      id: name of the crystal; a `Crystal` and a graph have their own.

    Raises:
      StructureError: the crystal cannot be used.
      MismatchError: an element without a vector in the model's table.
    """
    predictor = Predictor.of(model)
    config = predictor.graph_config
    if isinstance(structure, CrystalGraph):
        graph, crystal, vectors = structure, None, None
    else:
        crystal = to_crystal(structure, id=id)
        graph, vectors = featurize(crystal, config), bond_vectors(crystal, config)
    data = GraphList([graph], config)
    if predictor.properties and crystal is not None:
        [known] = read_crystals([structure], targets=predictor.properties)
        if isinstance(known, Crystal):
            data = GraphList.of([(graph, known)], config, predictor.properties, reduced=False)
    predictions = predict(predictor, data, show_progress=False)
    return Explanation(
        graph=graph,
        crystal=crystal,
        vectors=vectors,
        predictions=predictions,
        site_class=reduce_graph(graph).site_class.astype(np.int64),
        **_attention(predictor.model, graph),
    )


def shares(scores: np.ndarray, index: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Compute a softmax over groups of rows: w exp(s) / sum of w exp(s).

    Scores are (heads, rows, channels), the group and the multiplicity of a row (rows,); the result
    is float64 and sums to one over each group.
    """
    scores = scores.astype(np.float64).swapaxes(0, 1)
    largest = np.full((index.max() + 1, *scores.shape[1:]), -np.inf)
    np.maximum.at(largest, index, scores)
    gates = np.exp(scores - largest[index]) * weights[:, None, None]
    total = np.zeros(largest.shape)
    np.add.at(total, index, gates)
    return (gates / total[index]).swapaxes(0, 1)


def _attention(model: Model, graph: CrystalGraph) -> dict[str, np.ndarray]:
    """Compute attention, atom weights and embedding of one graph."""
    arrays = GraphArrays.from_graphs([graph])
    batch = assemble(arrays, snug_budget(arrays))
    scores = jax.device_get(model.network.jitted("attention")(model.params, batch))
    centers, neighbors = graph.edge_center.astype(np.int64), graph.edge_neighbor.astype(np.int64)
    sites = graph.node_multiplicity.astype(np.float64)
    senders, receivers, weights = oriented(
        model.config.message_direction,
        (centers, neighbors),
        (sites[centers], sites[neighbors]),
        graph.edge_weight,
    )
    # Rows beyond the graph's own are padding.
    attention = [shares(step[:, : graph.n_edges], receivers, weights) for step in scores.steps]
    whole = np.zeros(graph.n_nodes, np.int64)
    pooled = shares(scores.pooling[:, : graph.n_nodes], whole, sites).mean(2)
    by_site = (pooled / sites)[:, graph.site_class]
    return {
        "receivers": receivers,
        "senders": senders,
        "bond_attention": np.stack(attention).mean(3),
        "even_share": weights / np.bincount(receivers, weights, graph.n_nodes)[receivers],
        "atom_weights": by_site,
        "embedding": scores.embedding[0],
    }


def _number(value: float) -> float | None:
    """Replace NaN and infinity by None, which JSON has."""
    return float(value) if np.isfinite(value) else None
