"""Reader of CIF text: tags, symmetry, sites, and checks of the result."""
