"""Any executor featurizes: nothing but `submit` and results is asked of it."""

import pytest

from cgatjax.config import GraphConfig
from cgatjax.data import build
from cgatjax.data.build import build_store

SHARE = GraphConfig.recommended()


def test_dask_workers_make_the_same_store(tmp_path, monkeypatch, faulty_crystals):
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr(build, "CHUNK", 4)
    monkeypatch.setattr("cgatjax.data.shard_writer.SHARD", 25)
    one = build_store(faulty_crystals, tmp_path / "one", SHARE, on_error="skip")
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    )
    with cluster, distributed.Client(cluster) as client, client.get_executor() as executor:
        two = build_store(
            faulty_crystals, tmp_path / "two", SHARE, on_error="skip", executor=executor, workers=2
        )
    assert one.digest == two.digest
    assert (one.path / "skipped.csv").read_bytes() == (two.path / "skipped.csv").read_bytes()
