"""Preparation of training data: downloads, unpacking, convex hulls."""
