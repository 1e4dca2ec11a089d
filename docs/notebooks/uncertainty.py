# %% [markdown]
# # How sure is it?
#
# A prediction without an error bar invites to be believed. Here a network learns its own, a
# Gaussian process on the network's embedding gives another one, and both are held against the
# errors that are really made. [The guide](../../guides/uncertainty/) adds ensembles, and the
# commands.

# %%
import tempfile
from pathlib import Path

import numpy as np

import cgatjax as cg
from cgatjax.inference.calibration import best_factor, judge, known_errors
from cgatjax.plotting.calibration_plots import calibration

TARGET = "e-form@low"
folder = Path(tempfile.mkdtemp())
store = cg.build_store(cg.ionic_crystals(800), folder / "ionic.store", cg.GraphConfig.recommended())
train, valid, test = store.split((0.7, 0.15, 0.15), by="formula")

# %% [markdown]
# ## A network that learns its error bars
#
# The robust loss weighs each error by a standard deviation that the network predicts, too: large
# where it has learned to expect noise or difficulty.

# %%
network = cg.ModelConfig.small(
    node_dim=16, edge_dim=8, heads=2, steps=1, composition_steps=1, head_widths=(64, 32)
)
recipe = cg.TrainConfig(epochs=15, learning_rate=4e-3, validate_every=3, loss="robust_l1")
model = cg.init_model(network, store, target=TARGET, seed=0)
model, _ = cg.fit(model, train, valid, recipe)
print(cg.evaluate(model, test), "eV/atom")

# %% [markdown]
# ## A Gaussian process on the embedding
#
# The encoder turns a crystal into a vector. A sparse Gaussian process over these vectors predicts,
# too, and is unsure where no training crystal is near.

# %%
process = cg.fit_gp(
    cg.embed(model, train), train.target(TARGET), cg.GPConfig(inducing=60, steps=150)
)

# %% [markdown]
# ## Are they right?
#
# If the standard deviations are right, the central 50 % interval holds half of the true values, the
# 90 % interval nine tenths. The *miscalibration area* is what lies between that line and what is
# found: 0 is perfect. A single factor, fitted on the validation set, mends what is too wide or too
# narrow everywhere.


# %%
def network_says(data):
    found = cg.predict(model, data)
    return found.mean, found.std


def process_says(data):
    return process.predict(cg.embed(model, data))


curves = {}
for name, says in (("network", network_says), ("Gaussian process", process_says)):
    factor = best_factor(*known_errors(valid.target(TARGET), *says(valid)))
    mean, std = says(test)
    for label, scale in ((name, 1.0), (f"{name} x {factor:.2f}", factor)):
        curves[label] = (test.target(TARGET), mean, scale * std)
        print(label, judge(*curves[label]))
calibration(curves, unit="eV/atom")

# %% [markdown]
# ## Does a large error bar mean a large error?
#
# Calibration is about all crystals together. For choosing, the order counts: are the errors of the
# surest half smaller? The network's own standard deviations pass. The process, on the embedding of
# so small a network and from so few crystals, is calibrated and yet does not know where it errs.
# Look at both numbers before you rely on either.

# %%
for name, (value, mean, std) in curves.items():
    error = np.abs(mean - value)
    sure = std <= np.median(std)
    print(f"{name}: {error[sure].mean():.3f} surest half, {error[~sure].mean():.3f} others")
