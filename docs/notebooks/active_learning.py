# %% [markdown]
# # Active learning and interpretability
#
# Calculations are expensive and candidates are many. Is it better to compute uncertain candidates
# than random ones? This notebook runs one round of active learning, and then shows where the
# network has large errors, and to which bonds and atoms it attends. Guides: [active
# learning](../../guides/active_learning/), [interpretability](../../guides/interpretability/).

# %%
import tempfile
from pathlib import Path

import numpy as np

import cgatjax as cg
from cgatjax.plotting.attention_plot import attention_figure
from cgatjax.plotting.embedding_map import embedding_map, project

TARGET = "e-form@low"
folder = Path(tempfile.mkdtemp())
crystals = cg.ionic_crystals(500)
store = cg.build_store(crystals, folder / "ionic.store", cg.GraphConfig.recommended())
train, valid, test = store.split((0.7, 0.15, 0.15), by="formula")
start, pool = train.select(np.arange(100)), train.select(np.arange(100, len(train)))
print(f"{len(start)} values are known, {len(pool)} can be computed")

# %% [markdown]
# ## The initial model

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
# ## 100 more values
#
# First at random, then those that are uncertain *and* far from the known crystals in the embedding
# space. One round, one seed and a tiny network prove nothing; the study with repetitions is in the
# guide.

# %%
chosen = cg.select(model, pool, 100, by="both", known=[start])
for name, places in (("drawn at random", np.arange(100)), ("selected", chosen.positions)):
    rows = np.concatenate([start.rows, pool.rows[places]])
    more = trained(type(start)(store, rows))
    print(
        f"{cg.evaluate(more, test)['mae']:.3f} eV/atom with {len(rows)} values, the new ones {name}"
    )

# %% [markdown]
# ## Errors in the embedding space
#
# The test crystals in the plane of the two largest principal components of their embeddings.

# %%
error = np.abs(cg.predict(more, test).mean - test.target(TARGET))
embedding_map(project(cg.embed(more, test)), error, label="absolute error", unit="eV/atom")

# %% [markdown]
# ## Attention in one crystal
#
# The attention of each bond, by shell, and the weight of each atom in the pooling.

# %%
crystal = next(c for c in crystals if c.id.startswith("perovskite"))
explanation = cg.explain(more, crystal)
print(explanation.formula, explanation.predictions.mean, "eV/atom")
attention_figure(explanation, step=1)
