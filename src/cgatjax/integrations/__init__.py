"""Adapters to other libraries: scikit-learn and Matbench."""
