"""Checkpoints of the reference; all tests but the first need torch."""

import argparse
import importlib.util
import pickle
import sys

import jax
import numpy as np
import pytest

from cgatjax import reference
from cgatjax.config import GraphConfig, ModelConfig
from cgatjax.data.graph_list import GraphList
from cgatjax.errors import InputError, MismatchError, MissingExtraError
from cgatjax.inference.prediction import embed, predict
from cgatjax.model.model import Model
from cgatjax.model.model_io import read_model, save_model
from cgatjax.model.normalizer import Normalizer
from cgatjax.structures.elements import ElementTable
from cgatjax.structures.readers import read_crystals

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason='needs torch (the extra "torch")'
)
TINY = ModelConfig(
    targets=("e-form",),
    node_dim=4,
    edge_dim=3,
    heads=2,
    steps=2,
    composition_steps=1,
    composition_hidden=5,
    max_shells=3,
    head_widths=(6, 5),
)


def test_without_torch_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match="pip install torch"):
        reference.load_checkpoint(tmp_path / "x.ckpt")


@pytest.fixture(scope="module")
def model():
    base = Model(
        config=TINY,
        params=None,
        graph_config=GraphConfig.released(max_neighbors=3),
        normalizers={"e-form": Normalizer(mean=-1.5, std=0.5)},
        units={"e-form": "eV/atom"},
    )
    return base.replace(params=base.network.init(0))


@pytest.fixture
def saved(tmp_path, model):
    """Function that writes a checkpoint of the model as Lightning does, with changed parts."""
    torch = pytest.importorskip("torch")

    def save(options=None, **parts):
        weights = reference.state_dict_from_model(model)
        content = {
            "epoch": 3,
            "state_dict": {n: torch.from_numpy(np.array(a)) for n, a in weights.items()},
            "hyper_parameters": {"target": "e-form", "std_loss": True} | (options or {}),
            **parts,
        }
        torch.save(content, tmp_path / "x.ckpt")
        return tmp_path / "x.ckpt"

    return save


def test_a_model_round_trips_through_a_checkpoint(saved, model, tmp_path):
    found = reference.load_checkpoint(saved())
    assert found.config == model.config
    assert found.graph_config == model.graph_config
    assert found.normalizers == model.normalizers
    assert found.units == model.units
    assert jax.tree.all(jax.tree.map(np.array_equal, found.params, dict(model.params)))
    save_model(tmp_path / "model", found)
    assert read_model(tmp_path / "model").config == model.config


def test_the_flag_of_the_loss_is_inverted(saved):
    assert reference.load_checkpoint(saved({"std_loss": True})).predicts_std == ()
    assert reference.load_checkpoint(saved({"std_loss": False})).predicts_std == ("e-form",)


def test_missing_targets_are_requested(saved):
    path = saved(hyper_parameters={})
    with pytest.raises(InputError, match="give target="):
        reference.load_checkpoint(path)
    found = reference.load_checkpoint(path, target="gap", unit="eV")
    assert (found.targets, found.units) == (("gap",), {"gap": "eV"})


def test_volumes_of_the_reference_are_per_atom_squared(saved):
    assert reference.load_checkpoint(saved({"target": "volume"})).units == {"volume": "A^3/atom^2"}


def test_other_element_vectors_are_requested(saved):
    path = saved({"fea_path": "../embeddings/onehot.json"})
    with pytest.raises(InputError, match=r"onehot\.json"):
        reference.load_checkpoint(path)
    wide = ElementTable.from_vectors("onehot", {"H": [1.0], "He": [2.0]})
    with pytest.raises(MismatchError, match="200 numbers"):
        reference.load_checkpoint(path, element_table=wide)


def test_all_differences_of_names_and_shapes_are_listed(saved, model):
    torch = pytest.importorskip("torch")
    weights = reference.state_dict_from_model(model)
    tensors = {n: torch.from_numpy(np.array(a)) for n, a in weights.items()}
    tensors["model.extra"] = torch.zeros(2)
    tensors["model.output_nn.fc_out.bias"] = torch.zeros(3)
    del tensors["model.roost.embedding.bias"]
    with pytest.raises(MismatchError) as error:
        reference.load_checkpoint(saved(state_dict=tensors))
    for part in ("missing (1)", "roost.embedding.bias", "unexpected (1)", "extra", "misshapen (1)"):
        assert part in str(error.value)


@pytest.mark.parametrize(
    "parts",
    [{"state_dict": {}}, {"state_dict": None}, {"hyper_parameters": [1]}, {"state_dict": {"a": 1}}],
)
def test_other_contents_are_refused(saved, parts):
    with pytest.raises(InputError, match="expected"):
        reference.read_checkpoint(saved(**parts))


def test_mean_and_std_of_untrained_models_are_refused(saved, model):
    torch = pytest.importorskip("torch")
    weights = reference.state_dict_from_model(model) | {"std": np.zeros(1, np.float32)}
    path = saved(state_dict={n: torch.from_numpy(np.array(a)) for n, a in weights.items()})
    with pytest.raises(InputError, match="mean and std of a trained model"):
        reference.load_checkpoint(path)


class Touch:
    """Object whose pickle writes a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return exec, (f"open({str(self.path)!r}, 'w').close()",)


def test_checkpoints_that_run_code_are_refused(saved, tmp_path):
    torch = pytest.importorskip("torch")
    mark = tmp_path / "mark"
    for parts in ({"callbacks": Touch(mark)}, {"hyper_parameters": Touch(mark)}):
        path = saved(**parts)
        with pytest.raises(InputError, match="exec"):
            reference.load_checkpoint(path)
        assert not mark.exists()
    torch.load(path, weights_only=False)
    assert mark.exists()  # the pickle does run code if allowed to


@needs_torch
def test_pickles_that_run_code_are_refused(tmp_path):
    path = tmp_path / "x.ckpt"
    path.write_bytes(pickle.dumps(Touch(tmp_path / "mark"), protocol=2))
    with pytest.raises(InputError, match="cannot be read as a checkpoint"):
        reference.load_checkpoint(path)
    assert not (tmp_path / "mark").exists()


def test_a_namespace_of_options_is_plain_data(saved):
    options = argparse.Namespace(target="e-form", std_loss=False)
    found = reference.load_checkpoint(saved(hyper_parameters=options))
    assert found.predicts_std == ("e-form",)


@needs_torch
@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 cut"])
def test_damaged_files_are_refused(tmp_path, content):
    (tmp_path / "x.ckpt").write_bytes(content)
    with pytest.raises(InputError, match=r"cannot be read|damaged"):
        reference.load_checkpoint(tmp_path / "x.ckpt")
    with pytest.raises(InputError, match="cannot be read"):
        reference.load_checkpoint(tmp_path / "none.ckpt")


@pytest.mark.parametrize(
    "changes", [{"edge_update": "attention"}, {"message_direction": "neighbor_to_center"}]
)
def test_variants_unknown_to_the_reference_are_not_exported(model, changes):
    with pytest.raises(MismatchError, match="reference"):
        reference.state_dict_from_model(model.replace(config=TINY.replace(**changes)))


# A checkpoint that the reference has trained on `e-form` and tested on 48 crystals.


@pytest.fixture(scope="module")
def pretrained(shared):
    pytest.importorskip("torch", reason='needs torch (the extra "torch")')
    return reference.load_checkpoint(shared / "reference" / "pretrained_eform.ckpt")


@pytest.fixture(scope="module")
def expected(shared):
    with np.load(shared / "reference" / "pretrained_eform_test.npz") as file:
        return {name: file[name] for name in file.files}


def test_the_edge_width_is_that_of_the_weights(pretrained, shared):
    path = shared / "reference" / "pretrained_eform.ckpt"
    assert reference.read_checkpoint(path).options["nbr_embedding_size"] == 512
    assert pretrained.config.edge_dim == 128


def test_predictions_of_the_reference_from_structures(pretrained, expected, shared):
    crystals = list(read_crystals([shared / "reference" / "entries.json.gz"]))
    found = predict(pretrained, [crystals[i] for i in expected["index"]])
    assert np.abs(found.mean - expected["prediction"]).max() < 1e-5  # eV/atom; measured 6e-7


def test_predictions_of_the_reference_from_a_feature_file(pretrained, expected, shared):
    features = reference.read_features(shared / "reference" / "features.pickle.gz")
    graphs = GraphList([features.graphs[i] for i in expected["index"]], pretrained.graph_config)
    found = predict(pretrained, graphs)
    assert np.abs(found.mean - expected["prediction"]).max() < 1e-5
    scale = np.abs(expected["embedding"]).max()
    assert np.abs(embed(pretrained, graphs) - expected["embedding"]).max() < 1e-5 * scale
    target = features.targets["e-form"][expected["index"]]
    np.testing.assert_allclose(target, expected["target"], atol=1e-6)


def test_the_reference_keeps_the_old_mean_and_std_in_transfer(shared):
    """Head-only transfer from `e-form` to `volume`: same encoder, same mean and std, V/N^2."""
    folder = shared / "reference"
    with (
        np.load(folder / "pretrained_eform_test.npz") as before,
        np.load(folder / "transfer_volume_head_test.npz") as after,
    ):
        for name in ("mean", "std", "embedding", "index"):
            np.testing.assert_array_equal(after[name], before[name])
        features = reference.read_features(folder / "features.pickle.gz")
        sites = np.array([graph.n_sites for graph in features.graphs])[after["index"]]
        volume = features.targets["volume"][after["index"]]
        np.testing.assert_allclose(after["target"], volume / sites, rtol=1e-6)
        normalized = (volume - after["mean"]) / after["std"]
        assert normalized.mean() > 15  # far outside of the range of training
