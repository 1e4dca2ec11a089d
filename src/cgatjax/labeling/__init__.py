"""Low-fidelity values from calculators: potentials and empirical models instead of DFT."""
