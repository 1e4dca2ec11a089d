"""Graph of each row of a batch."""

import jax.numpy as jnp
import numpy as np
import pytest

from cgatjax.nn.segment import graph_index


@pytest.mark.parametrize("counts", [[3, 0, 2, 0], [0, 0, 4], [5], [2] * 300])
def test_rows_know_their_graph(counts):
    found = graph_index(jnp.array(counts), sum(counts))
    np.testing.assert_array_equal(found, np.repeat(np.arange(len(counts)), counts))
