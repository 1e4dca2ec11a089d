# %% [markdown]
# # Quick start
#
# From crystals to predictions: build a store, train a small network, evaluate it on the test set,
# predict new structures. The data are generated; nothing is downloaded.

# %%
import tempfile
from pathlib import Path

import cgatjax as cg
from cgatjax.plotting.learning_plots import learning_curves, parity

folder = Path(tempfile.mkdtemp())

# %% [markdown]
# ## Crystals
#
# `ionic_crystals` generates ionic crystals with formation energies of a simple physical model
# ([definition](../../synthetic_data/)). Your own crystals can come from CIF files, POSCARs, CSV
# tables, ASE or pymatgen objects: see [Your own data](../../guides/own_data/).

# %%
crystals = cg.ionic_crystals(800)
for crystal in crystals[:3]:
    print(crystal.id, crystal.n_sites, "sites", dict(crystal.targets))

# %% [markdown]
# ## A graph
#
# Every site has edges to its 24 nearest neighbors, in shells numbered by distance. The shell
# numbers are the only geometric input of the network. Sites that no network can distinguish are
# merged, which is exact.

# %%
options = cg.GraphConfig.recommended()
graph = cg.featurize(crystals[0], options)
small = cg.reduce_graph(graph)
print(f"{graph.n_nodes} sites, {graph.n_edges} edges; merged: {small.n_nodes}, {small.n_edges}")

# %% [markdown]
# ## A store
#
# All graphs are written once to a folder of memory-mapped files. Training reads batches from there,
# so the data may be larger than memory.

# %%
store = cg.build_store(crystals, folder / "ionic.store", options)
train, valid, test = store.split((0.7, 0.15, 0.15), by="formula")
print(store)
print(len(train), "to train,", len(valid), "to validate,", len(test), "to test")

# %% [markdown]
# ## Training
#
# A network this small is trained in seconds; `ModelConfig.small()` is the size for a laptop, and
# `released()` and `paper()` are the published networks. `fit` returns the model with the best
# validation error.

# %%
network = cg.ModelConfig.small(
    node_dim=16, edge_dim=8, heads=2, steps=1, composition_steps=1, head_widths=(64, 32)
)
recipe = cg.TrainConfig(epochs=15, learning_rate=4e-3, validate_every=3, loss="robust_l1")
model = cg.init_model(network, store, target="e-form@low", seed=0)
model, history = cg.fit(model, train, valid, recipe)
learning_curves({"quick start": history.rows}, unit="eV/atom")

# %% [markdown]
# ## Evaluation
#
# The test set has not been used so far.

# %%
print(cg.evaluate(model, test))
found = cg.predict(model, test)
parity(test.target("e-form@low"), found.mean, unit="eV/atom", title="formation energy, test set")

# %% [markdown]
# ## Predictions for any structure
#
# A structure need not be relaxed: expanded by a tenth, it has the same graph and the same
# prediction. The model predicts a standard deviation because it was trained with a robust loss.

# %%
from pymatgen.core import Lattice, Structure

salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.6), ["K", "Br"], [[0] * 3, [0.5] * 3])
larger = salt.copy().apply_strain(0.1, inplace=False)
prediction = cg.predict(model, [salt, larger])
for mean, std in zip(prediction.mean, prediction.std, strict=True):
    print(f"{mean:.3f} +- {std:.3f} {prediction.units['e-form@low']}")

# %% [markdown]
# A model is a folder of files without pickles, which also hold its graph options, its elements and
# the mean and standard deviation of its target.

# %%
cg.save_model(folder / "ionic.model", model)
again = cg.load_model(folder / "ionic.model")
print((cg.predict(again, [salt, larger]).mean == prediction.mean).all())
