"""Size of the networks that tests train."""

SMALLEST = {
    "node_dim": 8,
    "edge_dim": 6,
    "heads": 2,
    "steps": 1,
    "composition_steps": 1,
    "composition_hidden": 8,
    "head_widths": (16, 8),
}
"""Options of `ModelConfig.small`: one step, whose programs compile in seconds."""

TWO_STEPS = {**SMALLEST, "steps": 2}
"""The same, where the steps after the first matter: that one depends on the elements alone."""

TINY_MODEL = {
    "node_dim": 6,
    "edge_dim": 4,
    "heads": 2,
    "steps": 1,
    "composition_steps": 1,
    "composition_hidden": 6,
    "head_widths": [8],
}
"""Table `model` of the configuration files of commands."""
