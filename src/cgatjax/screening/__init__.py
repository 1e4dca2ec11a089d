"""Screening: predictions for very many decorations of prototypes, or for a stream of structures."""
