"""Short scripts, one per table or figure, over the library."""
