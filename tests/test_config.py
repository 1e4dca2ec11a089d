import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from cgatjax.config import GraphConfig, ModelConfig, TrainConfig, TransferConfig
from cgatjax.errors import ConfigError
from cgatjax.options import from_dict, load_toml

SECTIONS = {
    "graph": GraphConfig,
    "model": ModelConfig,
    "train": TrainConfig,
    "transfer": TransferConfig,
}


@pytest.mark.parametrize(
    ("cls", "option", "value"),
    [
        (GraphConfig, "max_neighbors", 0),
        (GraphConfig, "max_neighbors", 256),
        (GraphConfig, "shell_tolerance", -1e-9),
        (GraphConfig, "shell_tolerance", 1.0),
        (GraphConfig, "tolerance_kind", "percent"),
        (GraphConfig, "split_shell", "drop"),
        (GraphConfig, "max_radius", 0.0),
        (GraphConfig, "max_radius", 1000.0),
        (ModelConfig, "targets", ()),
        (ModelConfig, "targets", ("a", "a")),
        (ModelConfig, "targets", ("a/b",)),
        (ModelConfig, "targets", ("",)),
        (ModelConfig, "node_dim", 1),
        (ModelConfig, "heads", 0),
        (ModelConfig, "composition_steps", -1),
        (ModelConfig, "head_widths", (8, 0)),
        (ModelConfig, "edge_update", "gru"),
        (ModelConfig, "precision", "float16"),
        (TrainConfig, "epochs", -1),
        (TrainConfig, "batch_size", 0),
        (TrainConfig, "accumulate", 0),
        (TrainConfig, "loss", "huber"),
        (TrainConfig, "optimizer", "lion"),
        (TrainConfig, "learning_rate", 0.0),
        (TrainConfig, "weight_decay", -1.0),
        (TrainConfig, "momentum", 1.0),
        (TrainConfig, "clip_norm", 0.0),
        (TrainConfig, "schedule", "sine"),
        (TrainConfig, "cycle_period", 0),
        (TrainConfig, "plateau_factor", 1.0),
        (TrainConfig, "checkpoint_seconds", -1.0),
        (TrainConfig, "seed", -1),
        (TransferConfig, "mode", "half"),
        (TransferConfig, "normalizer", "none"),
        (TransferConfig, "lr_groups", (("*", -1.0),)),
        (TransferConfig, "unfreeze", ((-1, "*"),)),
        (TransferConfig, "train", {"epochs": 3}),
    ],
)
def test_a_bad_value_is_an_error_that_names_it(cls, option, value):
    with pytest.raises(ConfigError, match=rf"{cls.__name__}\.{option}: expected"):
        cls(**{option: value})


@pytest.mark.parametrize("cls", SECTIONS.values())
def test_an_unknown_option_is_an_error(cls):
    with pytest.raises(ConfigError, match="unknown option"):
        from_dict(cls, {"max_neighbor": 3})


def test_the_released_options_are_the_reference_s():
    graph = GraphConfig.released()
    assert (graph.max_neighbors, graph.shell_tolerance, graph.max_radius) == (24, 1e-8, 18.0)
    assert (graph.tolerance_kind, graph.split_shell) == ("absolute", "cut")
    model = ModelConfig.released()
    assert (model.node_dim, model.edge_dim, model.heads, model.steps) == (128, 128, 5, 5)
    assert model.embedding_dim == 640
    assert model.replace(pooling="mean").embedding_dim == 128
    train = TrainConfig.paper()
    assert (train.epochs, train.batch_size, train.cycle_period) == (390, 512, 130)
    assert (train.learning_rate, train.weight_decay) == (1.25e-4, 1e-6)


def test_the_paper_s_network_differs_where_the_paper_does():
    released, paper = ModelConfig.released().to_dict(), ModelConfig.paper().to_dict()
    changed = {name: paper[name] for name in paper if paper[name] != released[name]}
    assert changed == {
        "edge_dim": 512,
        "heads": 6,
        "edge_update": "attention",
        "message_direction": "neighbor_to_center",
    }


def test_presets_take_changes():
    assert GraphConfig.recommended(max_neighbors=12).max_neighbors == 12
    assert GraphConfig.recommended(split_shell="cut").split_shell == "cut"
    assert ModelConfig.small(heads=1).heads == 1
    with pytest.raises(TypeError, match="head_count"):
        ModelConfig.small(head_count=1)


def test_digests_stay_as_they_are():
    # A store carries this of its options: a change here would disown every store that exists.
    assert GraphConfig.released().digest() == "51ce46bdac33dccc"
    assert GraphConfig.recommended().digest() == "a667cee8bb3515cf"


@settings(max_examples=10)
@given(
    k=st.integers(1, 255),
    tolerance=st.floats(0, 0.99),
    epochs=st.integers(0, 10**6),
    clip=st.none() | st.floats(1e-6, 1e6),
    groups=st.lists(st.tuples(st.text(), st.floats(0, 10)), max_size=3),
)
def test_every_option_survives_toml(tmp_path_factory, k, tolerance, epochs, clip, groups):
    options = {
        "graph": GraphConfig.recommended(max_neighbors=k, shell_tolerance=tolerance),
        "model": ModelConfig.paper(targets=("e-form@PBE", "gap é"), head_widths=()),
        "train": TrainConfig.paper(epochs=epochs, clip_norm=clip),
        "transfer": TransferConfig(
            lr_groups=tuple(groups), unfreeze=((3, "encoder/*"),), train=TrainConfig(epochs=epochs)
        ),
    }
    file = tmp_path_factory.mktemp("toml") / "config.toml"
    file.write_bytes(tomli_w.dumps({name: o.to_dict() for name, o in options.items()}).encode())
    tables = load_toml(file, SECTIONS)
    assert {name: from_dict(SECTIONS[name], table) for name, table in tables.items()} == options
