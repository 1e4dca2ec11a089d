"""Options of trainings and transfers."""

from dataclasses import dataclass
from typing import Any, Literal

from cgatjax.options import Options


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
        self._require_at_least(1, "batch_size", "accumulate", "devices", "validate_every")
        self._require_at_least(1, "plateau_patience", "cycle_period", "patience")
        self._require_at_least(0, "epochs", "weight_decay", "checkpoint_seconds", "max_bad_steps")
        self._require_positive("learning_rate", "clip_norm")
        self._require(
            self.batch_size % self.devices == 0,
            "batch_size",
            f"a multiple of devices, which is {self.devices}",
        )
        self._require(0 <= self.momentum < 1, "momentum", "a number in [0, 1)")
        self._require(0 < self.plateau_factor < 1, "plateau_factor", "a number in (0, 1)")
        self._require_seed()

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
