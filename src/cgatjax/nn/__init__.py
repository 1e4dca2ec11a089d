"""Network modules in flax.linen: pure functions of parameters and padded batches."""
