"""Inference: predictions, embeddings, uncertainty, interpretation."""
