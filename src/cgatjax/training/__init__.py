"""Training and transfer: steps, input pipeline, loop."""
