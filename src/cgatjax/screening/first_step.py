"""First message-passing step shared between the decorations of one template.

In the first step a message depends only on the elements at both ends and on the shell. The sums of
the softmax over the neighbors of a site, numerator and denominator, therefore split into one term
for each class of neighbors, which depends on two elements alone. These terms are tabulated once for
all pairs of elements; a candidate adds as many as there are classes. From the second step on all
states differ between candidates, because the neighbors of a site are of all other classes.
"""

import logging
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from cgatjax.data.batching import default_float
from cgatjax.model.model import Model
from cgatjax.nn.cgat import oriented
from cgatjax.screening.templates import Assignments, Template

logger = logging.getLogger("cgatjax")
TABLE_BYTES = 2**28
"""Memory limit of the messages of all pairs of elements; beyond it nothing is shared."""
MIN_REUSE = 4
"""Assignments per pair of elements below which tables do not pay."""
ROWS = 4096
"""Messages computed at a time."""
SMALLEST_TOTAL = 1e-25
"""Smallest denominator: far from the smallest float32 (1e-38), so that no digit is lost."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class FirstStep:
    """Terms of the sums of the first step, for all pairs of elements.

    Attributes:
      terms: (rows, heads * (score channels + D)) denominators, then numerators.
      first_row: (nodes, classes) int32, first row of a receiving node and a class of neighbors.
      place: (classes, 104) int32, place of each element in the list of its class.
      stride: (classes,) int32, length of these lists.
      node_class: (nodes,) int32, class of each node.
    """

    terms: Any
    first_row: Any
    place: Any
    stride: Any
    node_class: Any

    def mixed(self, numbers: Array, heads: int, width: int) -> Array:
        """Add the terms of candidates with (m, classes) elements: (m * nodes, width) messages."""
        classes = jnp.arange(numbers.shape[1])
        place = self.place[classes, numbers.astype(jnp.int32)]
        own = place[:, self.node_class, None] * self.stride
        rows = self.first_row + own + place[:, None, :]
        total = sum(self.terms[rows[:, :, c].reshape(-1)] for c in range(len(classes)))
        split = total.shape[1] - heads * width
        denominator = total[:, :split].reshape(len(total), heads, -1)
        return (total[:, split:].reshape(-1, heads, width) / denominator).mean(1)


def first_step(model: Model, template: Template, assignments: Assignments) -> FirstStep | None:
    """Tabulate the first step; None, with a note in the log, if tables do not pay or do not fit."""
    config, pools = model.config, [np.array(pool) for pool in assignments.pools]
    sizes = np.array([len(pool) for pool in pools])
    edges = _Edges.of(template, config.message_direction)
    pairs = sizes[edges.receiver_class] * sizes[edges.sender_class]
    channels = config.heads * config.node_dim * 2
    if pairs.max() * MIN_REUSE > assignments.n:
        reason = "few candidates share a message of the first step"
    elif pairs.sum() * channels * default_float().itemsize > TABLE_BYTES:
        reason = f"the messages of all pairs of elements exceed {TABLE_BYTES >> 20} MiB"
    elif (terms := _terms(model, edges, pools)) is None:
        reason = "attention scores of the first step differ by too much"
    else:
        blocks, first_row = terms
        place = np.zeros((len(pools), 104), np.int32)
        for number, pool in enumerate(pools):
            place[number, pool] = np.arange(len(pool))
        return FirstStep(
            terms=np.concatenate(blocks),
            first_row=first_row,
            place=place,
            stride=sizes.astype(np.int32),
            node_class=template.node_class.astype(np.int32),
        )
    logger.info("%s: %s; each candidate is computed by itself", template.crystal.id, reason)
    return None


@dataclass(frozen=True, eq=False)
class _Edges:
    """Edges of a template in the direction of messages: node, classes, shell and weight of each."""

    receiver: np.ndarray
    receiver_class: np.ndarray
    sender_class: np.ndarray
    shell: np.ndarray
    weight: np.ndarray

    @classmethod
    def of(cls, template: Template, direction: str) -> "_Edges":
        graph, of_node = template.graph, template.node_class
        ends = (graph.edge_center, graph.edge_neighbor)
        sites = graph.node_multiplicity
        senders, receivers, weight = oriented(
            direction, ends, (sites[ends[0]], sites[ends[1]]), graph.edge_weight
        )
        return cls(receivers, of_node[receivers], of_node[senders], graph.edge_shell, weight)


def _terms(
    model: Model, edges: _Edges, pools: list[np.ndarray]
) -> tuple[list[np.ndarray], np.ndarray] | None:
    """Return the tables of all receivers and classes, and their first rows; None if too small."""
    n_nodes, n_classes = int(edges.receiver.max()) + 1, len(pools)
    first_row, blocks, start = np.zeros((n_nodes, n_classes), np.int32), [], 0
    for node in range(n_nodes):
        here = np.flatnonzero(edges.receiver == node)
        own = pools[edges.receiver_class[here[0]]]
        found = [
            _messages(model, own, int(edges.shell[e]), pools[edges.sender_class[e]]) for e in here
        ]
        # Of all senders, so that one shift serves every candidate with this element on the node.
        shift = np.max([scores.max(1) for scores, _ in found], axis=0)[:, None]
        smallest = np.zeros(1)
        for c in range(n_classes):
            shape = (len(own), len(pools[c]))
            denominator = np.zeros((*shape, *shift.shape[2:]), default_float())
            numerator = np.zeros((*shape, *found[0][1].shape[2:]), default_float())
            for e, (scores, messages) in zip(here, found, strict=True):
                if edges.sender_class[e] == c:
                    shares = edges.weight[e] * np.exp(scores - shift)
                    denominator += shares
                    numerator += shares * messages
            smallest = smallest + denominator.min(1)
            first_row[node, c], start = start, start + shape[0] * shape[1]
            sums = (denominator, numerator)
            blocks.append(
                np.concatenate([x.reshape(shape[0] * shape[1], -1) for x in sums], axis=1)
            )
        if not smallest.min() > SMALLEST_TOTAL:
            return None
    return blocks, first_row


def _messages(
    model: Model, receivers: np.ndarray, shell: int, senders: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Compute scores and messages (receivers, senders, heads, channels) of one shell."""
    function = model.network.jitted("first_messages")
    pairs = np.stack([x.ravel() for x in np.meshgrid(receivers, senders, indexing="ij")])
    parts = []
    for start in range(0, pairs.shape[1], ROWS):
        rows = np.minimum(np.arange(start, start + ROWS), pairs.shape[1] - 1)
        parts.append(
            jax.device_get(
                function(model.params, pairs[0, rows], np.full(ROWS, shell), pairs[1, rows])
            )
        )
    shape = (len(receivers), len(senders))
    return tuple(  # type: ignore[return-value]
        np.concatenate([part[k] for part in parts], axis=1)
        .swapaxes(0, 1)[: pairs.shape[1]]
        .reshape(*shape, model.config.heads, -1)
        for k in range(2)
    )
