"""All options of the library, as frozen dataclasses that are checked when they are made.

A configuration file is TOML with one table per class: `[graph]`, `[model]`, `[train]`,
`[transfer]`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from cgatjax.options import Options


@dataclass(frozen=True, kw_only=True)
class GraphConfig(Options):
    """How a crystal becomes a graph. The defaults are the released code's.

    Attributes:
      max_neighbors: K, periodic images kept around each site.
      shell_tolerance: a neighbor starts a new shell when it is farther than the current shell's
        first distance by more than this.
      tolerance_kind: "absolute" (the tolerance is in angstrom) or "relative" (a fraction of the
        shell's first distance; only this keeps graphs independent of the cell volume).
      split_shell: what to do where K ends inside a shell. "cut" keeps the first ones in a
        documented order; "share" keeps the whole shell, each member with weight
        (slots left) / (shell size).
      max_radius: search limit in angstrom; a site with fewer than K neighbors inside is an error.

    Examples:
      >>> GraphConfig.recommended(max_neighbors=12).split_shell
      'share'
    """

    max_neighbors: int = 24
    shell_tolerance: float = 1e-8
    tolerance_kind: Literal["absolute", "relative"] = "absolute"
    split_shell: Literal["cut", "share"] = "cut"
    max_radius: float = 18.0

    def _check(self) -> None:
        self._require(1 <= self.max_neighbors <= 255, "max_neighbors", "1..255")
        self._require(0 <= self.shell_tolerance < 1, "shell_tolerance", "a number in [0, 1)")
        self._require(0 < self.max_radius <= 100, "max_radius", "0 < angstrom <= 100")

    @classmethod
    def released(cls, **changes: Any) -> "GraphConfig":
        """The reference's options (`prepare_data.py`: 18 A, 24 neighbors, 1e-8 A)."""
        return cls(**changes)

    @classmethod
    def recommended(cls, **changes: Any) -> "GraphConfig":
        """For new models: nothing depends on site order, orientation, choice of cell or volume."""
        defaults = {"shell_tolerance": 3e-4, "tolerance_kind": "relative", "split_shell": "share"}
        return cls(**{**defaults, **changes})


DuplicateKey = Literal["id", "formula", "graph", "prototype"]
"""Crystals are duplicates by id, reduced formula, graph hash, or graph hash without elements."""


@dataclass(frozen=True, kw_only=True)
class SplitConfig(Options):
    """Division of a store into training, validation and test set.

    Attributes:
      split: JSON file with the ids of train, valid and test, instead of a new split.
      split_by: keep all crystals with the same "id", reduced "formula" or "prototype" (structure
        type) in one subset.
      fractions: fractions of train, valid and test.
      exclude: sources of crystals to remove, so that no test data leak into the training: the
        validation and test ids of a run folder, of a store (split with these options) or of a
        split JSON, or the ids in a JSON, text or CSV file.
      exclude_by: with the excluded ids, remove every crystal with the same "formula", "graph"
        (crystal) or "prototype" (structure type).
      train_size: size of a nested random subset of the training set; None for all of it.
      seed: random seed of the split and of the nested subset.

    Examples:
      >>> SplitConfig(fractions=(0.9, 0.05, 0.05)).split_by
      'id'
    """

    split: str | None = None
    split_by: Literal["id", "formula", "prototype"] = "id"
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1)
    exclude: tuple[str, ...] = ()
    exclude_by: DuplicateKey = "id"
    train_size: int | None = None
    seed: int = 0

    def _check(self) -> None:
        self._require(
            min(self.fractions) >= 0 and sum(self.fractions) <= 1 + 1e-9,
            "fractions",
            "three fractions that sum to at most 1",
        )
        self._require(self.train_size is None or self.train_size >= 1, "train_size", "at least 1")
        self._require(0 <= self.seed < 2**31, "seed", "0 <= seed < 2**31")


@dataclass(frozen=True, kw_only=True)
class ModelConfig(Options):
    """Sizes and variants of the network. The defaults are the released code's.

    Attributes:
      targets: names of the properties, one regression head each.
      node_dim: D, width of a node state.
      edge_dim: R, width of an edge state.
      heads: H, attention heads in messages and pooling.
      steps: message-passing steps.
      composition_steps: message-passing steps on the composition graph (Roost).
      composition_hidden: hidden width of the Roost networks.
      element_dim: length of an element vector.
      max_shells: K; shell indices are 1..K.
      vector_attention: one attention weight per channel, not per head, in messages.
      pooling_vector_attention: the same in the pooling over atoms.
      pooling: "concat" the heads (released) or average them ("mean").
      message_direction: "center_to_neighbor" (released) or "neighbor_to_center" (the paper).
      edge_update: "shell" (released), "attention" (the paper), "hyper" or "none".
      rezero: scale each head layer by a learned factor that starts at 0.
      head_widths: widths of the residual regression network.
      compute: "parameters" (compute in the parameters' dtype) or "bfloat16" (float32 weights,
        softmax and normalization; matrix products in bfloat16).
      rematerialize: compute the inside of each step again for the gradient instead of keeping it,
        for about a third more arithmetic; meant for accelerators short of memory.

    Examples:
      >>> ModelConfig.small(heads=4).embedding_dim
      128
    """

    targets: tuple[str, ...] = ("target",)
    node_dim: int = 128
    edge_dim: int = 128
    heads: int = 5
    steps: int = 5
    composition_steps: int = 3
    composition_hidden: int = 256
    element_dim: int = 200
    max_shells: int = 24
    vector_attention: bool = True
    pooling_vector_attention: bool = True
    pooling: Literal["concat", "mean"] = "concat"
    message_direction: Literal["center_to_neighbor", "neighbor_to_center"] = "center_to_neighbor"
    edge_update: Literal["shell", "attention", "hyper", "none"] = "shell"
    rezero: bool = True
    head_widths: tuple[int, ...] = (1024, 1024, 512, 512, 256, 256, 128)
    compute: Literal["parameters", "bfloat16"] = "parameters"
    rematerialize: bool = False

    def _check(self) -> None:
        sizes = ("node_dim", "edge_dim", "heads", "steps", "composition_hidden", "element_dim")
        for name in (*sizes, "max_shells"):
            self._require(getattr(self, name) >= 1, name, "at least 1")
        self._require(self.node_dim >= 2, "node_dim", "at least 2")
        self._require(self.composition_steps >= 0, "composition_steps", "at least 0")
        self._require(all(w >= 1 for w in self.head_widths), "head_widths", "widths of at least 1")
        names = self.targets
        self._require(len(names) > 0 and len(set(names)) == len(names), "targets", "distinct names")
        self._require(all(n and "/" not in n for n in names), "targets", "names without '/'")

    @property
    def embedding_dim(self) -> int:
        """Width of the crystal embedding that the heads read."""
        return self.node_dim * (self.heads if self.pooling == "concat" else 1)

    @classmethod
    def released(cls, **changes: Any) -> "ModelConfig":
        """The released code's network (`CGAT/lightning_module.py`)."""
        return cls(**changes)

    @classmethod
    def paper(cls, **changes: Any) -> "ModelConfig":
        """The paper's equations: wider edges, attention edge update, messages to the center."""
        defaults = {
            "edge_dim": 512,
            "heads": 6,
            "edge_update": "attention",
            "message_direction": "neighbor_to_center",
        }
        return cls(**{**defaults, **changes})

    @classmethod
    def small(cls, **changes: Any) -> "ModelConfig":
        """The released equations at sizes that train on a laptop."""
        defaults = {
            "node_dim": 32,
            "edge_dim": 32,
            "heads": 3,
            "steps": 3,
            "composition_steps": 2,
            "composition_hidden": 64,
            "head_widths": (256, 256, 128, 64),
        }
        return cls(**{**defaults, **changes})


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Options):
    """How a network is trained.

    Attributes:
      epochs: passes over the training set.
      batch_size: crystals per optimizer step and micro-batch, on average (`choose_budgets`).
      accumulate: micro-batches summed into one optimizer step.
      devices: that share each micro-batch, of all processes together (docs/scaling.md).
      device_mapping: how several run one program, "shard_map" or "pmap".
      loss: "l1", "l2", or the robust ones that also learn a standard deviation.
      optimizer: "adamw", "adam", "sgd" (with momentum) or "lamb".
      learning_rate: peak rate.
      weight_decay: decoupled for adamw and lamb, added to the gradient for adam and sgd (as torch).
      momentum: of sgd.
      clip_norm: largest global norm of the trainable gradient; None for no clipping.
      schedule: "cyclical" (triangular, per epoch), "plateau" or "constant".
      cycle_period: epochs per triangle; None means one triangle over the whole run.
      plateau_patience: validations without improvement before the rate drops.
      plateau_factor: what it is multiplied by then.
      validate_every: epochs between validations.
      checkpoint_seconds: least time between two checkpoints (there is always one at the end).
      max_bad_steps: more steps in a row than this with a loss or gradient that is not finite end
        the run; such a step changes nothing.
      seed: of initialization, shuffling and splits.

    Examples:
      >>> TrainConfig.paper(epochs=10).batch_size
      512
    """

    epochs: int = 60
    batch_size: int = 64
    accumulate: int = 1
    devices: int = 1
    device_mapping: Literal["shard_map", "pmap"] = "shard_map"
    loss: Literal["l1", "l2", "robust_l1", "robust_l2"] = "l1"
    optimizer: Literal["adamw", "adam", "sgd", "lamb"] = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 1e-6
    momentum: float = 0.9
    clip_norm: float | None = None
    schedule: Literal["cyclical", "plateau", "constant"] = "cyclical"
    cycle_period: int | None = None
    plateau_patience: int = 5
    plateau_factor: float = 0.5
    validate_every: int = 1
    checkpoint_seconds: float = 60.0
    max_bad_steps: int = 20
    seed: int = 0

    def _check(self) -> None:
        counts = ("batch_size", "accumulate", "devices", "validate_every", "plateau_patience")
        for name in counts:
            self._require(getattr(self, name) >= 1, name, "at least 1")
        self._require(
            self.batch_size % self.devices == 0,
            "batch_size",
            f"a multiple of devices, which is {self.devices}",
        )
        self._require(self.epochs >= 0, "epochs", "at least 0")
        self._require(self.learning_rate > 0, "learning_rate", "a positive number")
        self._require(self.weight_decay >= 0, "weight_decay", "a number that is not negative")
        self._require(0 <= self.momentum < 1, "momentum", "a number in [0, 1)")
        self._require(
            self.clip_norm is None or self.clip_norm > 0, "clip_norm", "a positive number"
        )
        self._require(
            self.cycle_period is None or self.cycle_period >= 1, "cycle_period", "at least 1"
        )
        self._require(0 < self.plateau_factor < 1, "plateau_factor", "a number in (0, 1)")
        self._require(self.checkpoint_seconds >= 0, "checkpoint_seconds", "seconds")
        self._require(self.max_bad_steps >= 0, "max_bad_steps", "at least 0")
        self._require(0 <= self.seed < 2**31, "seed", "0 <= seed < 2**31")

    @classmethod
    def paper(cls, **changes: Any) -> "TrainConfig":
        """The paper's recipe: AdamW, 1.25e-4, batch 512, 390 epochs in triangles of 130."""
        defaults = {"epochs": 390, "batch_size": 512, "learning_rate": 1.25e-4, "cycle_period": 130}
        return cls(**{**defaults, **changes})


@dataclass(frozen=True, kw_only=True)
class TransferConfig(Options):
    """What is carried over from a trained model, and what of it is trained on.

    Attributes:
      mode: "full" (train everything from the old weights), "head" (encoder frozen), "none"
        (from scratch, same sizes) or "joint" (the old targets are trained along, a head each).
      target: the property to train for; None takes the old model's only target.
      normalizer: "refit" mean and std on the new training set, or "keep" the old ones (as the
        reference does without saying).
      reinit: patterns of parameters to start anew, such as "heads/*".
      lr_groups: (pattern, factor) pairs; the learning rate of matching parameters is multiplied.
      unfreeze: (epoch, pattern) pairs; matching parameters stand still before that epoch.
      train: the training options.

    Examples:
      >>> options = TransferConfig(mode="head", target="e-form", train=TrainConfig(epochs=20))
      >>> options.replace(mode="full").train.epochs
      20
    """

    mode: Literal["full", "head", "none", "joint"] = "full"
    target: str | None = None
    normalizer: Literal["refit", "keep"] = "refit"
    reinit: tuple[str, ...] = ()
    lr_groups: tuple[tuple[str, float], ...] = ()
    unfreeze: tuple[tuple[int, str], ...] = ()
    train: TrainConfig = TrainConfig()

    def _check(self) -> None:
        self._require(all(f >= 0 for _, f in self.lr_groups), "lr_groups", "factors of at least 0")
        self._require(all(e >= 0 for e, _ in self.unfreeze), "unfreeze", "epochs of at least 0")


PRESETS: dict[str, tuple[Callable[[], ModelConfig], Callable[[], TrainConfig]]] = {
    "small": (ModelConfig.small, TrainConfig),
    "released": (ModelConfig.released, TrainConfig.paper),
    "paper": (ModelConfig.paper, TrainConfig.paper),
}
"""Name -> what makes the network's options and the training's."""
