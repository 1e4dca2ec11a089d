"""Options of the library: frozen dataclasses, checked when they are made.

A configuration file is TOML with one table per class: `[graph]`, `[model]`, `[train]`,
`[transfer]`. The command line makes its options of the fields; a help text is the entry of the
field under "Attributes".
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from cgatjax.options import Options


@dataclass(frozen=True, kw_only=True)
class GraphConfig(Options):
    """Options of crystal graphs. The defaults are the released code's.

    Attributes:
      max_neighbors: number K of neighbors (periodic images) kept around each site.
      shell_tolerance: a neighbor starts a new shell when it is farther than the first neighbor of
        the current shell by more than this.
      tolerance_kind: "absolute" (tolerance in angstrom) or "relative" (fraction of the distance of
        the shell's first neighbor; only this keeps graphs independent of the cell volume).
      split_shell: treatment of a last shell that K cuts. "cut" keeps its first neighbors in a
        documented order; "share" keeps the whole shell, each neighbor with weight
        (slots left) / (shell size).
      max_radius: search radius in angstrom; a site with fewer than K neighbors inside is an error.

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
        """Return the reference's options (`prepare_data.py`: 18 A, 24 neighbors, 1e-8 A)."""
        return cls(**changes)

    @classmethod
    def recommended(cls, **changes: Any) -> "GraphConfig":
        """Return options for graphs independent of site order, orientation, cell and volume."""
        defaults = {"shell_tolerance": 3e-4, "tolerance_kind": "relative", "split_shell": "share"}
        return cls(**{**defaults, **changes})


DuplicateKey = Literal["id", "formula", "graph", "prototype"]
"""Crystals are duplicates by id, reduced formula, graph hash, or graph hash without elements."""


@dataclass(frozen=True, kw_only=True)
class SplitConfig(Options):
    """Options of a split into training, validation and test set.

    Attributes:
      split: JSON file with the ids of train, valid and test, instead of a new split.
      split_by: keep all crystals with the same reduced "formula" or structure type ("prototype") in
        one subset.
      fractions: fractions of train, valid and test.
      exclude: crystals to remove against data leakage: the validation and test ids of a run, of a
        store (split with these options) or of a split JSON, or the ids in a JSON, text or CSV file.
      exclude_by: with the excluded ids, remove all crystals of the same formula, the same graph
        (crystal) or the same prototype (structure type).
      exclude_seen: with a pre-trained model, leave out of the validation and test sets what it was
        trained on: equal crystals ("graph") or those of the same reduced "formula".
      train_size: size of a nested random subset of the training set; by default all of it.
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
    exclude_seen: Literal["graph", "formula"] | None = None
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
      node_dim: width D of the node states.
      edge_dim: width R of the edge states.
      heads: number H of attention heads in messages and pooling.
      steps: message-passing steps.
      composition_steps: message-passing steps on the composition graph (Roost).
      composition_hidden: hidden width of the Roost networks.
      elements: element vectors: the released code's "matscholar", one-hot "periodic" ones (group,
        period, electronegativity, valence electrons ...), or "both" side by side; "own" for a file.
      element_dim: length of the element vectors.
      max_shells: number K of shell embeddings; shell indices are 1..K.
      vector_attention: one attention weight per channel, not per head, in messages.
      pooling_vector_attention: one attention weight per channel, not per head, in the pooling.
      pooling: concatenate the attention heads ("concat", released) or average them ("mean").
      message_direction: direction of messages, "center_to_neighbor" (released) or
        "neighbor_to_center" (paper).
      edge_update: edge update, "shell" (released), "attention" (paper), "hyper" or "none".
      rezero: scale each layer of the regression head by a learned factor that starts at 0.
      head_widths: layer widths of the residual regression head.
      precision: precision of matrix products on every device: "float32" (true float32, where JAX's
        own default rounds on GPUs and TPUs), "tf32" (factors rounded to 10 bits) or "bfloat16"
        (to 7 bits; a few small products in tf32). Weights, sums, softmax and normalization are in
        float32. CPUs compute "tf32" in float32.
      kernels: "pallas" runs hypernetworks and messages as fused kernels on GPUs, "xla" as compiled
        by XLA. Other devices run the latter; results agree to rounding.
      rematerialize: recompute the activations of each step for the gradient instead of storing
        them: less memory, about a third more arithmetic.

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
    elements: Literal["matscholar", "periodic", "both", "own"] = "matscholar"
    element_dim: int = 200
    max_shells: int = 24
    vector_attention: bool = True
    pooling_vector_attention: bool = True
    pooling: Literal["concat", "mean"] = "concat"
    message_direction: Literal["center_to_neighbor", "neighbor_to_center"] = "center_to_neighbor"
    edge_update: Literal["shell", "attention", "hyper", "none"] = "shell"
    rezero: bool = True
    head_widths: tuple[int, ...] = (1024, 1024, 512, 512, 256, 256, 128)
    precision: Literal["float32", "tf32", "bfloat16"] = "float32"
    kernels: Literal["xla", "pallas"] = "xla"
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
        """Width of the crystal embedding that the regression heads read."""
        return self.node_dim * (self.heads if self.pooling == "concat" else 1)

    @property
    def low_precision(self) -> bool:
        """True if matrix products are in bfloat16."""
        return self.precision == "bfloat16"

    @classmethod
    def released(cls, **changes: Any) -> "ModelConfig":
        """Return the released code's network (`CGAT/lightning_module.py`)."""
        return cls(**changes)

    @classmethod
    def paper(cls, **changes: Any) -> "ModelConfig":
        """Return the paper's network: wide edges, attention edge update, messages to the center."""
        defaults = {
            "edge_dim": 512,
            "heads": 6,
            "edge_update": "attention",
            "message_direction": "neighbor_to_center",
        }
        return cls(**{**defaults, **changes})

    @classmethod
    def small(cls, **changes: Any) -> "ModelConfig":
        """Return a network that trains on a laptop: smaller, with more telling element vectors."""
        defaults = {
            "elements": "both",
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
    """Options of a training.

    Attributes:
      epochs: passes over the training set.
      batch_size: average number of crystals in a micro-batch, over all devices.
      accumulate: micro-batches summed into one optimizer step.
      devices: number of devices, over all processes, that share each micro-batch.
      device_mapping: JAX transformation that maps the training step over several devices.
      loss: loss function; the robust ones also learn a standard deviation.
      optimizer: optimizer; sgd has momentum.
      learning_rate: peak learning rate.
      weight_decay: decoupled weight decay for adamw and lamb; added to the gradient for adam and
        sgd (as in torch).
      momentum: momentum of sgd.
      clip_norm: largest global norm of the trainable gradient; by default no clipping.
      schedule: learning-rate schedule: "cyclical" (triangular, per epoch), "cosine" (a rise over a
        twentieth of the training, then down to 0, per step), "plateau" or "constant".
      cycle_period: epochs per triangle of the cyclical schedule; by default one triangle over the
        whole run.
      plateau_patience: validations without improvement before the plateau schedule lowers the
        learning rate.
      plateau_factor: factor by which the plateau schedule lowers the learning rate.
      validate_every: epochs between validations.
      patience: validations without improvement after which the training ends early; by default
        it never does.
      checkpoint_seconds: shortest time between two training checkpoints, in seconds; the last epoch
        always has one.
      max_bad_steps: longest sequence of steps with a loss or gradient that is not finite; a longer
        one ends the run. Such a step changes no parameter.
      baseline: low-fidelity value that is known for every crystal, to learn the difference to it: a
        property, "cell_volume" (of the given cell, per atom), in a transfer also "source" (the
        prediction of the pre-trained model) or "none"; by default none, in a transfer that of the
        pre-trained model for the same property.
      references: fit a value per element (ridge regression on element fractions), and learn the
        rest; in a transfer within a property, fit the change of these values.
      seed: random seed of initialization, shuffling and splits.

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
    schedule: Literal["cyclical", "cosine", "plateau", "constant"] = "cyclical"
    cycle_period: int | None = None
    plateau_patience: int = 5
    plateau_factor: float = 0.5
    validate_every: int = 1
    patience: int | None = None
    checkpoint_seconds: float = 60.0
    max_bad_steps: int = 20
    baseline: str | None = None
    references: bool = False
    seed: int = 0

    def _check(self) -> None:
        self._require(self.baseline != "", "baseline", "the name of a property")
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
        self._require(self.patience is None or self.patience >= 1, "patience", "at least 1")
        self._require(0 < self.plateau_factor < 1, "plateau_factor", "a number in (0, 1)")
        self._require(self.checkpoint_seconds >= 0, "checkpoint_seconds", "at least 0 seconds")
        self._require(self.max_bad_steps >= 0, "max_bad_steps", "at least 0")
        self._require(0 <= self.seed < 2**31, "seed", "0 <= seed < 2**31")

    @classmethod
    def paper(cls, **changes: Any) -> "TrainConfig":
        """Return the paper's options: AdamW, 1.25e-4, batch 512, 390 epochs, triangles of 130."""
        defaults = {"epochs": 390, "batch_size": 512, "learning_rate": 1.25e-4, "cycle_period": 130}
        return cls(**{**defaults, **changes})

    def for_transfer(self) -> "TrainConfig":
        """Return these options for fine-tuning what they trained: a fifth of the rate, cosine.

        At the rate of the training, the first epochs of a transfer lose what was learned before
        (docs/results/recipe.md).
        """
        rate = self.learning_rate / 5
        return self.replace(learning_rate=rate, schedule="cosine", cycle_period=None)


@dataclass(frozen=True, kw_only=True)
class TransferConfig(Options):
    """Options of a transfer from a trained model.

    Attributes:
      mode: "full" (fine-tune all parameters), "head" (encoder frozen), "none" (from scratch, same
        sizes) or "joint" (train on the old targets, too, with a head each).
      target: property to learn; by default the old model's only target.
      normalizer: "refit" mean and standard deviation on the new training set, or "keep" the old
        ones (as the reference does without saying so).
      joint_fraction: with mode "joint", fraction of the new data in the crystals of each epoch,
        which are as many as in both sets; by default every crystal comes once.
      reinit: patterns of parameters to re-initialize, such as "heads/*".
      lr_groups: (pattern, factor) pairs; the factor multiplies the learning rate of matching
        parameters.
      unfreeze: (epoch, pattern) pairs; matching parameters are frozen before that epoch, counted
        from 1.
      train: training options; by default those of `TrainConfig().for_transfer()`.

    Examples:
      >>> options = TransferConfig(mode="head", target="e-form", train=TrainConfig(epochs=20))
      >>> options.replace(mode="full").train.epochs
      20
    """

    mode: Literal["full", "head", "none", "joint"] = "full"
    target: str | None = None
    normalizer: Literal["refit", "keep"] = "refit"
    joint_fraction: float | None = None
    reinit: tuple[str, ...] = ()
    lr_groups: tuple[tuple[str, float], ...] = ()
    unfreeze: tuple[tuple[int, str], ...] = ()
    train: TrainConfig = TrainConfig().for_transfer()  # noqa: RUF009 - frozen

    def _check(self) -> None:
        fraction = self.joint_fraction
        self._require(fraction is None or 0 < fraction < 1, "joint_fraction", "between 0 and 1")
        self._require(
            fraction is None or self.mode == "joint", "joint_fraction", 'mode "joint" with it'
        )
        self._require(all(f >= 0 for _, f in self.lr_groups), "lr_groups", "factors of at least 0")
        self._require(all(e >= 1 for e, _ in self.unfreeze), "unfreeze", "epochs of at least 1")


@dataclass(frozen=True, kw_only=True)
class AdaptConfig(Options):
    """Options of `adapt`.

    Attributes:
      minutes: time for all candidates together; cheap ones run first, and none is started that is
        expected to exceed it.
      split: JSON file with the ids of train, valid and test; train and valid are joined.
      split_by: crystals of the test set: new formulas ("formula"), all crystals with elements of
        some groups ("element-group") or periods ("period") of the periodic table, or structure
        types ("prototype").
      test_fraction: fraction of the crystals in the test set.
      baselines: property that is known for every crystal, also for new ones, such as the value of a
        cheaper functional, to learn the difference to; the volume of the cell is one without asking
        where the unit is that of the target.
      folds: folds of the cross-validation, by formula.
      steps: optimizer steps of each training of a whole network.
      next_count: number of crystals without a value to select for the next calculations.
      seed: random seed of splits, initialization and shuffling.

    Examples:
      >>> AdaptConfig(minutes=30).folds
      4
    """

    minutes: float = 3.0
    split: str | None = None
    split_by: Literal["formula", "element-group", "period", "prototype"] = "formula"
    test_fraction: float = 0.15
    baselines: tuple[str, ...] = ()
    folds: int = 4
    steps: int = 400
    next_count: int = 50
    seed: int = 0

    def _check(self) -> None:
        self._require(self.minutes > 0, "minutes", "a positive number")
        self._require(0 < self.test_fraction < 1, "test_fraction", "a number between 0 and 1")
        self._require(2 <= self.folds <= 20, "folds", "2..20")
        self._require(self.steps >= 1, "steps", "at least 1")
        self._require(self.next_count >= 0, "next_count", "at least 0")
        self._require(0 <= self.seed < 2**31, "seed", "0 <= seed < 2**31")


@dataclass(frozen=True, kw_only=True)
class GPConfig(Options):
    """Options of the fit of a sparse Gaussian process to crystal embeddings.

    Attributes:
      inducing: number of inducing points, at most one per crystal.
      kernel: kernel; rbf is the reference's.
      one_scale: one length scale for all directions of the embedding (the reference's), instead of
        one for each.
      steps: optimizer steps (Adam).
      batch_size: crystals per step.
      learning_rate: initial learning rate; it decays to zero along a cosine.
      seed: random seed of k-means and of the batches.

    Examples:
      >>> GPConfig(inducing=100).kernel
      'matern52'
    """

    inducing: int = 300
    kernel: Literal["matern52", "rbf"] = "matern52"
    one_scale: bool = False
    steps: int = 1000
    batch_size: int = 256
    learning_rate: float = 0.02
    seed: int = 0

    def _check(self) -> None:
        for name in ("inducing", "batch_size"):
            self._require(getattr(self, name) >= 1, name, "at least 1")
        self._require(self.steps >= 0, "steps", "at least 0")
        self._require(self.learning_rate > 0, "learning_rate", "a positive number")
        self._require(0 <= self.seed < 2**31, "seed", "0 <= seed < 2**31")


PRESETS: dict[str, tuple[Callable[[], ModelConfig], Callable[[], TrainConfig]]] = {
    "small": (ModelConfig.small, TrainConfig),
    "released": (ModelConfig.released, TrainConfig.paper),
    "paper": (ModelConfig.paper, TrainConfig.paper),
}
"""Preset -> functions that make the options of the network and of the training."""
