"""Large stores for measurements: the rows of a small one under new ids."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from cgatjax.data.store import Store
from cgatjax.data.store_writer import store_rows


def repeat_store(store: Store, out: str | Path, n: int) -> Store:
    """Repeat the rows of a store under new ids until there are n crystals.

    For measurements on large stores; errors of models trained on one mean nothing.

    Args:
      store: a store with at least one crystal.
      out: folder to create.
      n: number of crystals of the new store, at least 1.

    Raises:
      RunExistsError: `out` exists.
      InputError: n is not positive.
    """

    def batches() -> Iterator[pa.RecordBatch]:
        left = n
        for copy in count():
            for shard in store.shards:
                if left <= 0:
                    return
                rows = shard.table.slice(0, left)
                left -= rows.num_rows
                ids = pc.binary_join_element_wise(rows.column("id"), str(copy), "/")
                yield rows.set_column(rows.schema.get_field_index("id"), "id", ids)

    return store_rows(
        batches(),
        out,
        store.graph_config,
        units=store.units,
        origins=store.origins,
        reduced=store.reduced,
    )
