# %% [markdown]
# # Screening a prototype
#
# Which perovskites ABO3 might be stable? The network sees no distances, so one graph of the
# structure type represents all choices of elements: it is built once, and decorated many times.
# [The guide](../../guides/screening/) covers the commands, and how they resume after a kill.

# %%
import json
import tempfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from pymatgen.core import Lattice, Structure

import cgatjax as cg

TARGET = "e-form@low"
folder = Path(tempfile.mkdtemp())
store = cg.build_store(cg.ionic_crystals(800), folder / "ionic.store", cg.GraphConfig.recommended())
train, valid, test = store.split((0.7, 0.15, 0.15), by="formula")
network = cg.ModelConfig.small(
    node_dim=16, edge_dim=8, heads=2, steps=1, composition_steps=1, head_widths=(64, 32)
)
recipe = cg.TrainConfig(epochs=15, learning_rate=4e-3, validate_every=3, loss="robust_l1")
model = cg.init_model(network, store, target=TARGET, seed=0)
model, _ = cg.fit(model, train, valid, recipe)

# %% [markdown]
# ## The prototype, and the elements of its sites
#
# The cell size does not matter. The sites of one element of the prototype form a class, numbered in
# the order of the sites: here 1 is the large cation, 2 the small one, and 3 oxygen, which is kept.

# %%
oxygens = [[0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
perovskite = Structure(
    Lattice.cubic(4.0), ["Sr", "Ti", "O", "O", "O"], [[0] * 3, [0.5] * 3, *oxygens]
)
large = "Na K Rb Cs Mg Ca Sr Ba Y La Ce Nd Gd Lu Pb".split()
small = "Ti Zr Hf V Nb Ta Cr Mo W Mn Fe Co Ni Al Ga In Sc Sn Ge Mg Zn".split()

# %% [markdown]
# ## Screening
#
# Only compositions whose oxidation states can sum to zero are predicted, and the 40 lowest
# predictions are kept.

# %%
found = cg.screen(
    model,
    perovskite,
    folder / "perovskites",
    elements={"1": large, "2": small},
    filters=cg.CompositionFilter(charge="neutral", states="common", distinct=True),
    keep=cg.Keep(best=40),
)
report = found.report
print(f"{report['seen']} decorations, {report['predicted']} predicted, {report['rows']} kept")
print(json.dumps(report["left_out"], indent=1))

# %% [markdown]
# ## Results
#
# The results are sorted Parquet files, for pandas, polars or DuckDB.

# %%
best = pq.read_table(sorted(found.results.glob("*.parquet")))
print(best.column_names)
for row in best.slice(0, 10).to_pylist():
    print(row)

# %% [markdown]
# How many of these compositions are in the training set? Predictions for chemistry outside of it
# are extrapolation.

# %%
known = set(store.formulas)
formulas = best.column("formula").to_pylist()
print(f"{np.mean([f in known for f in formulas]):.0%} of these compositions are in the store")
