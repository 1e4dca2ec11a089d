# %% [markdown]
# # What to compute next, and what the network looks at
#
# Values are dear, candidates are many. Is it better to compute those that the network is unsure of
# than any? One round of it, and then a look inside: where the network errs, and which bonds and
# atoms it attends to. Guides: [active learning](../../guides/active_learning/),
# [looking inside](../../guides/looking_inside/).

# %%
import tempfile
from pathlib import Path

import numpy as np

import cgatjax as cg
from cgatjax.plotting.attention_plot import attention_figure
from cgatjax.plotting.embedding_map import embedding_map, project

TARGET = "e-form@low"
folder = Path(tempfile.mkdtemp())
crystals = cg.ionic_crystals(800)
store = cg.build_store(crystals, folder / "ionic.store", cg.GraphConfig.recommended())
train, valid, test = store.split((0.7, 0.15, 0.15), by="formula")
start, pool = train.select(np.arange(150)), train.select(np.arange(150, len(train)))
print(f"{len(start)} values are known, {len(pool)} could be computed")

# %% [markdown]
# ## The start

# %%
network = cg.ModelConfig.small(
    node_dim=16, edge_dim=8, heads=2, steps=1, composition_steps=1, head_widths=(64, 32)
)
recipe = cg.TrainConfig(epochs=15, learning_rate=4e-3, validate_every=3, loss="robust_l1")


def trained(data):
    fresh = cg.init_model(network, store, target=TARGET, seed=0)
    return cg.fit(fresh, data, valid, recipe.replace(epochs=12))[0]


model = trained(start)
print(f"{cg.evaluate(model, test)['mae']:.3f} eV/atom with {len(start)} values")

# %% [markdown]
# ## 150 more values
#
# Once at random, once those that are uncertain *and* far from what is known in the space of
# embeddings. One round, one seed and a tiny network prove nothing; the study with repetitions is in
# the guide.

# %%
chosen = cg.select(model, pool, 150, by="both", known=[start])
for name, places in (("at random", np.arange(150)), ("selected", chosen.positions)):
    rows = np.concatenate([start.rows, pool.rows[places]])
    more = trained(type(start)(store, rows))
    print(f"{cg.evaluate(more, test)['mae']:.3f} eV/atom with {len(rows)} values, new {name}")

# %% [markdown]
# ## Where does it err?
#
# The test crystals in the plane of the two largest principal components of their embeddings.

# %%
error = np.abs(cg.predict(more, test).mean - test.target(TARGET))
embedding_map(project(cg.embed(more, test)), error, label="absolute error", unit="eV/atom")

# %% [markdown]
# ## One crystal
#
# Attention of each bond, by shell, and the weight of each atom in the pooling.

# %%
crystal = next(c for c in crystals if c.id.startswith("perovskite"))
seen = cg.explain(more, crystal)
print(seen.formula, seen.predictions.mean, "eV/atom")
attention_figure(seen, step=1)
