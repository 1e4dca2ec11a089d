"""Adaptation: many ways from a source model and few values to a new model, and a choice of them."""
