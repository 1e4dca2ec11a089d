"""Mutated models, checkpoints and feature files, and malicious pickles."""

import gzip
import hashlib
import io
import json
import pickle
import struct
import zipfile

import jax
import numpy as np
import pytest
from tests.cards import CARD

from cgatjax import reference
from cgatjax.config import GraphConfig, ModelConfig
from cgatjax.data.batching import collate
from cgatjax.data.graph_list import GraphList
from cgatjax.errors import InputError
from cgatjax.graphs.crystal_graph import CrystalGraph
from cgatjax.graphs.reduction import reduce_graph
from cgatjax.model.model import Model
from cgatjax.model.model_io import DESCRIPTION, WEIGHTS, read_model, save_model
from cgatjax.model.normalizer import Normalizer
from cgatjax.model.training_record import CrystalHashes, TrainingRecord
from cgatjax.pretrained.cards import ModelCard
from cgatjax.pretrained.publishing import publish_model
from cgatjax.pretrained.self_check import read_self_check
from cgatjax.reference import read_features
from cgatjax.runtime.files import MANIFEST
from cgatjax.structures.elements import SYMBOLS, reduced_formula

TINY = ModelConfig(
    targets=("e-form",),
    node_dim=4,
    edge_dim=3,
    heads=1,
    steps=1,
    composition_steps=1,
    composition_hidden=5,
    max_shells=3,
    head_widths=(6,),
)


def graph(n):
    """Two sites that see one another, or one that sees itself."""
    neighbors = np.array([[1, 1, 0], [0, 0, 1]])[:n] % n
    return CrystalGraph.from_neighbors(
        np.array([11, 17])[:n], neighbors, np.array([[1, 1, 2]] * n), id=f"c{n}"
    )


@pytest.fixture(scope="module")
def model():
    base = Model(
        config=TINY,
        params=None,
        graph_config=GraphConfig.released(max_neighbors=3),
        normalizers={"e-form": Normalizer(mean=-1.5, std=0.5)},
        units={"e-form": "eV/atom"},
        record=TrainingRecord(
            training=np.arange(104) % 5, train=CrystalHashes(*[np.array([3, 2**47], np.uint64)] * 2)
        ),
    )
    shapes = jax.eval_shape(base.network.module.init, jax.random.key(0), collate([graph(2)]))[
        "params"
    ]
    return base.replace(params=jax.tree.map(lambda s: np.full(s.shape, 0.5, s.dtype), shapes))


def features(protocol):
    """A feature file as `prepare_data.py` writes it."""
    graphs = [graph(2), graph(1)]
    table = np.empty((3, 2), dtype=object)
    comps = np.empty(2, dtype=object)
    for i, g in enumerate(graphs):
        center = np.repeat(np.arange(g.n_sites), 3)
        for row, values in enumerate([g.shells, center, g.neighbors]):
            table[row, i] = np.asarray(values, dtype=object).reshape(g.n_sites, 3, 1)
        comps[i] = np.array([[SYMBOLS[z]] for z in g.atomic_numbers], dtype=object)
    content = {
        "input": table,
        "batch_ids": [("a",), ("b",)],
        "batch_comp": np.array([[reduced_formula(g.atomic_numbers)] for g in graphs], object),
        "target": {"e-form": np.array([-0.5, 0.25]), "volume": [3.0, -1e8]},
        "comps": comps,
    }
    return pickle.dumps(content, protocol=protocol)


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_features(fuzz, protocol):
    fuzz.mutations(f"features, pickle {protocol}", "f.pickle", features(protocol), read_features)


def test_compressed_features(fuzz):
    content = gzip.compress(features(4))
    fuzz.mutations("features .pickle.gz", "f.pickle.gz", content, read_features)


def harmful(canary):
    """Pickles that touch a file when read by `pickle.load`, one for each way to call."""
    command = f"open({str(canary)!r}, 'w').close()"
    quoted = repr(command)

    class Call:
        def __reduce__(self):
            return eval, (command,)

    return {
        "reduce": pickle.dumps(Call()),
        "global": f"cbuiltins\neval\n(S{quoted}\ntR.".encode(),
        "inst": f"(S{quoted}\nibuiltins\neval\n.".encode(),
        "obj": f"(cbuiltins\neval\nS{quoted}\no.".encode(),
        "stack": b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93"
        + b"X" + struct.pack("<I", len(command)) + command.encode() + b"\x85R.",
        "system": f"cos\nsystem\n(S'touch {canary}'\ntR.".encode(),
    }  # fmt: skip


def test_harmful_pickles_do_nothing(fuzz, tmp_path):
    torch = pytest.importorskip("torch")
    canary = tmp_path / "canary"
    buffer = io.BytesIO()
    torch.save({"state_dict": {}}, buffer)
    for what, content in harmful(canary).items():
        pickle.loads(content)
        assert canary.exists(), f"{what} is harmless: this test tests nothing"
        canary.unlink()
        for at in (0, 30, 200):  # alone, and among the opcodes of a whole file
            path = tmp_path / "f.pickle"
            path.write_bytes(features(0)[:at] + content)
            with pytest.raises(InputError, match=r"f\.pickle"):
                read_features(path)
        for whole in (content, replaced_member(buffer.getvalue(), content)):
            path = tmp_path / "x.ckpt"
            path.write_bytes(whole)
            with pytest.raises(InputError, match=r"x\.ckpt"):
                reference.read_checkpoint(path)
    assert not canary.exists()


def replaced_member(archive, content):
    """A checkpoint whose pickle is another one."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            new.writestr(name, content if name.endswith("data.pkl") else old.read(name))
    return out.getvalue()


def test_checkpoints(fuzz, model, tmp_path):
    torch = pytest.importorskip("torch")
    weights = reference.state_dict_from_model(model)
    state = {n: torch.from_numpy(np.array(a)) for n, a in weights.items()}
    content = {"state_dict": state, "hyper_parameters": {"target": "e-form", "std_loss": True}}
    torch.save(content, tmp_path / "whole.ckpt")
    whole = (tmp_path / "whole.ckpt").read_bytes()
    fuzz.mutations("checkpoint", "x.ckpt", whole, reference.load_checkpoint, cost=4)
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        inner = next(archive.read(n) for n in archive.namelist() if n.endswith("data.pkl"))
    fuzz.mutations(
        "checkpoint, its pickle",
        "x.ckpt",
        inner,
        reference.load_checkpoint,
        cost=4,
        pack=lambda damaged: replaced_member(whole, damaged),
    )


def test_model_folders(fuzz, model):
    """Mutated as they are, and with a manifest that agrees: whoever forges a file forges both."""
    folder = fuzz.folder / "model-7f"
    save_model(folder, model)
    description = json.loads((folder / DESCRIPTION).read_text())
    for name in (WEIGHTS, DESCRIPTION, MANIFEST):
        content = (folder / name).read_bytes()
        fuzz.mutations(f"model, {name}", f"model-7f/{name}", content, load_in, cost=6)
    for name in (WEIGHTS, DESCRIPTION):
        content = (folder / name).read_bytes()
        fuzz.mutations(f"model, forged {name}", f"model-7f/{name}", content, load_forged, cost=12)
        forge(folder)
    fuzz.values(
        f"model, forged {DESCRIPTION} values",
        f"model-7f/{DESCRIPTION}",
        description,
        load_forged,
        cost=6,
    )


def test_published_folders(fuzz, model):
    """Cards and self-checks, which the manifest of a downloaded model may not protect."""
    folder = fuzz.folder / "published"
    crystals = GraphList([reduce_graph(graph(2)), graph(1)], model.graph_config)
    published = publish_model(folder, model, CARD, crystals)
    card = (folder / "card.json").read_bytes()
    fuzz.mutations("card", "published/card.json", card, read_card, cost=2)
    fuzz.values("card, values", "published/card.json", json.loads(card), read_card)
    check = (folder / "self_check.safetensors").read_bytes()
    fuzz.mutations(
        "self-check",
        "published/self_check.safetensors",
        check,
        lambda path: read_self_check(path.parent, published),
        cost=4,
    )


def read_card(path):
    return ModelCard.read(path.parent)


def load_in(path):
    return read_model(path.parent)


def load_forged(path):
    forge(path.parent)
    return read_model(path.parent)


def forge(folder):
    """Makes the manifest agree with the files."""
    manifest = {}
    for name in (WEIGHTS, DESCRIPTION):
        content = (folder / name).read_bytes()
        manifest[name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / MANIFEST).write_text(json.dumps(manifest))


@pytest.mark.long
@pytest.mark.parametrize("what", ["features", "checkpoints", "models"])
def test_thousands(fuzz, what, model, tmp_path):
    if what == "features":
        test_compressed_features(fuzz)
        for protocol in (0, 2, 4, 5):
            test_features(fuzz, protocol)
    elif what == "checkpoints":
        test_checkpoints(fuzz, model, tmp_path)
    else:
        test_model_folders(fuzz, model)
