"""The network, in flax.linen."""
