"""Crystal graphs: neighbor shells, exact reductions, hashes."""
