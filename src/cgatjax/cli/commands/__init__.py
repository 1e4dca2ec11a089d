"""Commands of `cgatjax`, one module for each.

`--help` reads these modules, so that they import what is slow (JAX, NumPy, pyarrow, pymatgen) in
the functions that run.
"""
