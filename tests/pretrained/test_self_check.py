"""The self-check of published models: what it finds, and when it runs."""

import shutil

import jax
import numpy as np
import pytest
from experiments.model_report import with_std_factors
from tests.cards import CARD
from tests.commands import ok, refused

import cgatjax as cg
from cgatjax.errors import InputError, MismatchError
from cgatjax.inference.prediction import BatchRunner
from cgatjax.model.model_io import write_model
from cgatjax.model.normalizer import Normalizer
from cgatjax.pretrained import self_check
from cgatjax.pretrained.publishing import publish_model, rounded
from cgatjax.pretrained.self_check import verify, verify_once
from cgatjax.runtime.files import new_folder

LOW = "e-form@low"


@pytest.fixture
def copy(shipped, tmp_path):
    """Copy of the published model, to be changed."""
    return shutil.copytree(shipped, tmp_path / "copy")


def rewrite(folder, model):
    """Replace the model of a folder, with an intact manifest, and keep card and self-check."""
    kept = {name: (folder / name).read_bytes() for name in ("card.json", "self_check.safetensors")}
    with new_folder(folder) as part:
        write_model(part, model, half=True)
        for name, content in kept.items():
            (part / name).write_bytes(content)


def test_the_predictions_are_repeated(shipped):
    checked = verify(shipped)
    assert (checked.crystals, checked.tolerance) == (3, 1e-3)
    assert checked.difference < 1e-5
    assert "jax" in checked.made_with
    assert "predictions of 3 crystals repeated" in ok("info", "tiny", "--verify")


def test_one_changed_weight_is_refused(copy, published):
    model = published[1]
    leaves, structure = jax.tree.flatten(model.params)
    changed = np.array(leaves[7])
    changed.flat[0] += np.float32(0.01)
    leaves[7] = changed
    rewrite(copy, model.replace(params=jax.tree.unflatten(structure, leaves)))
    with pytest.raises(MismatchError, match=r"weights are not those .* made with cgatjax"):
        cg.load_model(str(copy))
    assert "are not those of the self-check" in refused("predict", copy, "x.cif")
    assert "are not those of the self-check" in refused("info", copy, "--verify")


class Shifted(BatchRunner):
    """Networks whose outputs are not those of the publishing code."""

    def __call__(self, data):
        return [{k: v + 0.002 for k, v in found.items()} for found in super().__call__(data)]


def test_changed_code_is_refused(copy, monkeypatch):
    monkeypatch.setattr(self_check, "BatchRunner", Shifted)
    with pytest.raises(MismatchError, match=r"the self-check failed: e-form@low of its crystal"):
        verify(copy)


def test_a_changed_normalizer_is_refused(copy, published):
    old = published[1].normalizers[LOW]
    new = Normalizer(mean=old.mean + 0.01 * old.std, std=old.std)
    rewrite(copy, published[1].replace(normalizers={LOW: new}))
    with pytest.raises(MismatchError, match="the self-check failed"):
        verify(copy)


def test_a_model_is_verified_once_for_each_file_and_version(shipped, monkeypatch, tmp_path):
    calls = []
    inner = self_check.verify
    monkeypatch.setattr(self_check, "verify", lambda folder: calls.append(folder) or inner(folder))
    for _ in range(2):
        verify_once(shipped)
    assert len(calls) == 1
    self_check._verify_new.cache_clear()  # as in a new process
    verify_once(shipped)
    assert len(calls) == 1
    monkeypatch.setattr(self_check, "versions", lambda: {"cgatjax": "other"})
    verify_once(shipped)
    assert len(calls) == 2
    monkeypatch.setenv("CGATJAX_CACHE", "off")
    self_check._verify_new.cache_clear()
    for _ in range(2):
        verify_once(shipped)
    assert len(calls) == 3
    monkeypatch.delenv("CGATJAX_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    (tmp_path / "file").write_text("not a folder")
    self_check._verify_new.cache_clear()
    verify_once(shipped)
    assert len(calls) == 4


def test_folders_without_a_self_check(trained_model, tmp_path):
    cg.save_model(tmp_path / "model", trained_model)
    assert cg.load_model(tmp_path / "model").targets == (LOW,)
    with pytest.raises(InputError, match="has no self_check"):
        verify(tmp_path / "model")


def test_a_damaged_self_check_names_its_file(copy):
    (copy / "self_check.safetensors").write_bytes(b"no")
    with pytest.raises(InputError, match=r"self_check\.safetensors"):
        cg.load_model(str(copy))


def test_publishing_needs_a_new_folder_and_a_trained_model(
    shipped, fresh_model, trained_model, test_set, tmp_path
):
    with pytest.raises(cg.RunExistsError, match="exists"):
        publish_model(shipped, trained_model, CARD, test_set[:2])
    for model, crystals in ((fresh_model, test_set[:2]), (trained_model, test_set[:0])):
        with pytest.raises(InputError, match="a trained model and at least one crystal"):
            publish_model(tmp_path / "new", model, CARD, crystals)
    with pytest.raises(cg.ConfigError, match="65504"):
        rounded({"a": np.full(5000, 7e4, np.float32)})


def test_factors_on_standard_deviations_are_in_the_weights(trained_model, test_set):
    before = cg.predict(trained_model, test_set)
    after = cg.predict(with_std_factors(trained_model, {LOW: 1.7}), test_set)
    np.testing.assert_array_equal(after.mean, before.mean)
    np.testing.assert_allclose(after.std, 1.7 * before.std, rtol=1e-5)
