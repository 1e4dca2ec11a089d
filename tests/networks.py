"""Size of the networks that tests train."""

SMALLEST = {
    "node_dim": 8,
    "edge_dim": 6,
    "heads": 2,
    "steps": 2,
    "composition_steps": 1,
    "composition_hidden": 8,
    "head_widths": (16, 8),
}
"""Options of `ModelConfig.small`; every kind of layer is there, and compiles in seconds."""
