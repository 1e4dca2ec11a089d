"""Synthetic ionic crystals with low- and high-fidelity energies."""
