"""Synthetic data set: ionic crystals with low- and high-fidelity energies."""
