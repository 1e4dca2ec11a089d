"""Stores, data sets, splits and padded batches of crystal graphs."""
