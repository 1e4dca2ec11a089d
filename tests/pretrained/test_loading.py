"""Models by name, by folder and by address."""

import functools
import hashlib
import json
import shutil
import threading
from collections import Counter
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import jax
import numpy as np
import pytest
from tests.commands import ok, refused

import cgatjax as cg
from cgatjax.errors import DownloadError, InputError
from cgatjax.pretrained.locations import locate
from cgatjax.runtime.files import MANIFEST

LOW = "e-form@low"


class Files(SimpleHTTPRequestHandler):
    """Server of a folder that counts the requests."""

    asked: ClassVar[Counter] = Counter()

    def log_message(self, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        self.asked[self.path] += 1
        super().do_GET()


@pytest.fixture
def served(shipped, tmp_path):
    """(address, folder): a copy of the published model behind a local server."""
    folder = shutil.copytree(shipped, tmp_path / "site" / "tiny-web")
    handler = functools.partial(Files, directory=str(folder.parent))
    Files.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/tiny-web", folder
        server.shutdown()
        thread.join()


def test_a_name_loads_the_published_model(shipped, published, test_set):
    model = cg.load_model("tiny")
    jax.tree.map(np.testing.assert_array_equal, model.params, published[1].params)
    assert {leaf.dtype for leaf in jax.tree.leaves(model.params)} == {np.dtype("float32")}
    assert model.record.stages[-1]["published"] == "tiny"
    found = cg.predict(cg.load_predictor("tiny"), test_set)
    np.testing.assert_array_equal(found.mean, cg.predict(published[1], test_set).mean)
    assert np.isfinite(found.std).all()
    assert list(cg.models()) == ["tiny"]
    assert repr(cg.models()["tiny"]) == (
        "ModelCard(tiny: 1,234 parameters, trained on 96 crystals; "
        "test MAE: e-form@low 0.123 eV/atom)"
    )


def test_float16_halves_the_file_and_changes_little(shipped, trained_model, test_set, tmp_path):
    cg.save_model(tmp_path / "whole", trained_model)
    sizes = [(f / "model.safetensors").stat().st_size for f in (shipped, tmp_path / "whole")]
    large = sum(leaf.size for leaf in jax.tree.leaves(trained_model.params) if leaf.size >= 64)
    assert large > 0.8 * trained_model.n_params
    assert sizes[1] - sizes[0] == pytest.approx(2 * large, rel=0.05)
    assert np.abs(_last_layers(cg.load_model("tiny")) - _last_layers(trained_model)).max() == 0
    found = [cg.predict(m, test_set).mean for m in (cg.load_model("tiny"), trained_model)]
    change = found[0] - found[1]
    assert 0 < np.abs(change).max() < 0.01 * trained_model.normalizers[LOW].std


def _last_layers(model):
    return np.concatenate([head["out"]["bias"] for head in model.params["heads"].values()])


def test_a_folder_of_the_same_name_is_not_chosen_in_silence(shipped, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(shipped, tmp_path / "tiny")
    with pytest.raises(InputError, match=r"also a folder here; write \./tiny"):
        cg.load_model("tiny")
    assert cg.load_model("./tiny").targets == (LOW,)


def test_unknown_names_list_the_known_ones(shipped, tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"no such folder .* names are tiny"):
        cg.load_model("mp-huge")
    with pytest.raises(InputError, match="there is no such folder"):
        cg.load_model("runs/none")
    monkeypatch.setattr("cgatjax.pretrained.locations.SHIPPED", tmp_path)
    with pytest.raises(InputError, match="no model comes with this version"):
        cg.load_model("tiny")
    assert cg.models() == {}


def test_an_address_is_downloaded_once(served, test_set, published):
    address, folder = served
    model = cg.load_model(address)
    jax.tree.map(np.testing.assert_array_equal, model.params, published[1].params)
    assert Files.asked["/tiny-web/model.safetensors"] == 1
    shutil.rmtree(folder)
    assert cg.load_model(address).targets == (LOW,)
    assert sum(Files.asked.values()) == len(list(locate(address).iterdir()))
    # A damaged copy is downloaded again, and the server has nothing now.
    (locate(address) / "model.safetensors").write_bytes(b"x")
    with pytest.raises(DownloadError, match="404"):
        cg.load_model(address)


def test_an_address_can_pin_the_manifest(served):
    address, folder = served
    digest = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
    assert locate(f"{address}/#sha256={digest}").is_dir()
    with pytest.raises(DownloadError, match="expected sha256:0000"):
        locate(f"{address}#sha256={'0' * 64}")
    with pytest.raises(InputError, match="64 hex digits"):
        locate(f"{address}#sha1=12")


def test_files_that_differ_from_the_manifest_are_refused(served):
    address, folder = served
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    with pytest.raises(DownloadError, match="expected sha256:"):
        locate(address)
    listed = json.loads((folder / MANIFEST).read_text())
    listed["../run.py"] = listed["config.json"]
    (folder / MANIFEST).write_text(json.dumps(listed))
    with pytest.raises(DownloadError, match=r"unexpected: \['\.\./run\.py'\]"):
        locate(address)
    (folder / MANIFEST).write_text("[]")
    with pytest.raises(DownloadError, match="expected sizes and SHA-256"):
        locate(address)


def test_commands_take_names(shipped, ionic_store, tmp_path):
    listed = ok("models")
    assert "tiny" in listed
    assert "0.123" in listed
    card = ok("info", "tiny")
    for part in ("# tiny", "point charges", "0.123", "Na 0.5 (6)", "It is tiny.", "Anything.",
                 "published as tiny"):  # fmt: skip
        assert part in card
    assert "K 9" not in card  # too few crystals
    out = tmp_path / "predictions.csv"
    ok("predict", "tiny", ionic_store.path, "--out", out)
    assert "# cgatjax model: tiny" in out.read_text()
    assert "# 96 of the 120 crystals were in the training set of tiny (by graph)" in out.read_text()
    errors = ok("evaluate", "tiny", ionic_store.path)
    assert "96 of the 120 crystals were in the training set of tiny (by graph)" in errors
    for command in ("calibrate", "fit-gp"):
        assert "copy its folder" in refused(command, "tiny", ionic_store.path)


def test_a_transfer_starts_from_a_name(shipped, ionic_store, tmp_path):
    out = tmp_path / "run"
    output = ok("transfer", ionic_store.path, "--from", "tiny", "--target", "e-form@high",
                "--mode", "head", "--epochs", 1, "--out", out)  # fmt: skip
    assert "valid MAE" in output
    record = cg.load_model(out).record
    assert [stage.get("published") for stage in record.stages] == [None, "tiny", None]
    assert len(record.test.graphs) == 12


def test_a_transfer_counts_and_excludes_what_was_seen(shipped, ionic_store, tmp_path, caplog):
    split = ionic_store.make_split(by="formula", seed=3)
    split.save(tmp_path / "split.json")
    base = ("transfer", ionic_store.path, "--from", "tiny", "--target", "e-form@high", "--mode",
            "head", "--epochs", 1, "--split", tmp_path / "split.json")  # fmt: skip
    with caplog.at_level("INFO"):
        cg.transfer_model(
            cg.load_model("tiny"),
            ionic_store.apply(split),
            cg.TransferConfig(mode="head", target="e-form@high", train=cg.TrainConfig(epochs=1)),
        )
    _, valid, test = ionic_store.apply(split)
    seen = cg.load_predictor("tiny").seen
    n = seen(test).sum()
    assert f"{n} of the {len(test)} test crystals were in the training set of tiny" in caplog.text
    ok(*base, "--exclude-seen", "--out", tmp_path / "graph")
    left = cg.Split.load(tmp_path / "graph" / "split.json")
    for before, after in ((valid, left.valid), (test, left.test)):
        assert after == tuple(before.select(~seen(before)).ids)
    assert left.train == split.train
