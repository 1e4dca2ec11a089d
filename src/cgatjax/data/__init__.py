"""From files to padded batches: the only package that knows pymatgen and ASE."""
