"""Commands of `cgatjax`, one module for each, in a folder for each section of `--help`.

`--help` reads these modules, so that they import what is slow (JAX, NumPy, pyarrow, pymatgen) in
the functions that run.
"""
