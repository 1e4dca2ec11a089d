"""Options of the network."""

from dataclasses import dataclass
from typing import Any, Literal

from cgatjax.options import Options


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
        self._require_at_least(2, "node_dim")
        self._require_at_least(1, "edge_dim", "heads", "steps", "composition_hidden")
        self._require_at_least(1, "element_dim", "max_shells")
        self._require_at_least(0, "composition_steps")
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
