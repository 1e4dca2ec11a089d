import dataclasses
import json

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from cgatjax.checkpoint import StateFolder, check_params, load_model, save_model
from cgatjax.data.elements import ElementTable
from cgatjax.data.normalizer import Normalizer
from cgatjax.errors import InputError, MismatchError
from cgatjax.inference import predict


@pytest.fixture
def saved(trained, tmp_path):
    save_model(tmp_path / "model", trained[0])
    return tmp_path / "model"


def test_a_model_comes_back_bit_by_bit(saved, trained, sets):
    model, found = trained[0], load_model(saved)
    for field in dataclasses.fields(model):
        if field.name != "params":
            assert getattr(found, field.name) == getattr(model, field.name), field.name
    jax.tree.map(np.testing.assert_array_equal, found.params, model.params)
    assert {x.dtype for x in jax.tree.leaves(found.params)} == {np.dtype("float32")}
    assert np.array_equal(predict(found, sets[2]).mean, predict(model, sets[2]).mean)


def test_a_run_folder_stands_for_its_model(trained, tmp_path):
    save_model(tmp_path / "run" / "model", trained[0])
    assert load_model(tmp_path / "run").targets == trained[0].targets


def test_another_element_table_travels_along(trained, tmp_path):
    vectors = np.array(ElementTable.matscholar().vectors)
    vectors[11] += 1
    table = ElementTable(name="mine", vectors=vectors, known=ElementTable.matscholar().known)
    save_model(tmp_path / "m", trained[0].replace(element_table=table))
    assert load_model(tmp_path / "m").element_table == table


def test_an_untrained_model_with_several_heads(fresh_model, tmp_path):
    model = fresh_model.replace(
        normalizers={"e-form@cheap": Normalizer(mean=-1.0, std=0.3)}, units={"e-form@cheap": ""}
    )
    save_model(tmp_path / "m", model)
    found = load_model(tmp_path / "m")
    assert found.normalizers == model.normalizers
    assert found.learns_std == ()


def test_all_differences_of_weights_are_listed_at_once(saved):
    file = saved / "model.safetensors"
    tensors = load_file(file)
    del tensors["params/encoder/shell_embedding"]
    name = "params/heads/e-form@cheap/out/bias"
    tensors[name] = np.zeros(3, np.float32)
    tensors["params/encoder/extra"] = np.zeros(1, np.float32)
    save_file(tensors, file)
    message = (
        r"missing \['encoder/shell_embedding'\], unexpected \['encoder/extra'\], "
        r"misshapen \['heads/e-form@cheap/out/bias: expected \(2,\), got \(3,\)'\]"
    )
    with pytest.raises(MismatchError, match=message):
        load_model(saved)


def test_weights_of_another_network_are_refused(trained):
    model = trained[0]
    wider = model.replace(config=model.config.replace(node_dim=9))
    with pytest.raises(MismatchError, match="weights do not fit the network: missing "):
        check_params(model.params, wider)


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "other"])
def test_damaged_files_are_errors_that_name_the_folder(saved, name, damage):
    file = saved / name
    data = file.read_bytes()
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes({"empty": b"", "truncated": data[:-20], "other": b"[1, 2]"}[damage])
    with pytest.raises(InputError, match="model"):
        load_model(saved)


def test_a_description_without_a_part_or_of_another_version(saved):
    file = saved / "model.json"
    description = json.loads(file.read_text())
    file.write_text(json.dumps({**description, "format": 7}))
    with pytest.raises(InputError, match="model format 7, this version reads 1"):
        load_model(saved)
    del description["normalizers"]
    file.write_text(json.dumps(description))
    with pytest.raises(InputError, match=r"damaged model description.*normalizers"):
        load_model(saved)


def test_nothing_there(tmp_path):
    with pytest.raises(InputError, match=r"none: expected a run or model folder"):
        load_model(tmp_path / "none")


def test_states_come_back_and_only_the_newest_is_kept(tmp_path):
    folder = StateFolder(tmp_path / "state")
    assert folder.restore({"a": np.zeros(2)}) is None
    for step in (1, 2):
        arrays = {"a": np.arange(2.0) * step, "b": [np.array(step)]}
        folder.save(step, arrays, {"epoch": step, "best": float("inf"), "rows": [{"x": None}]})
    folder.close()
    again = StateFolder(tmp_path / "state")
    arrays, made = again.restore({"a": np.zeros(2), "b": [np.array(0)]})
    assert arrays["a"].tolist() == [0.0, 2.0]
    assert int(arrays["b"][0]) == 2
    assert made == {"epoch": 2, "best": float("inf"), "rows": [{"x": None}]}
    again.close()
    assert [p.name for p in (tmp_path / "state").iterdir() if p.name.isdigit()] == ["2"]
