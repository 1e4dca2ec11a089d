# %% [markdown]
# # Uncertainty
#
# A network predicts its own standard deviations, a Gaussian process on the network's embedding
# gives others, and both are compared with the actual errors. [The guide](../../guides/uncertainty/)
# adds ensembles, and the commands.

# %%
import tempfile
from pathlib import Path

import numpy as np

import cgatjax as cg
from cgatjax.inference.calibration import best_factor, calibration_report, known_errors
from cgatjax.plotting.calibration_plots import calibration

TARGET = "e-form@low"
folder = Path(tempfile.mkdtemp())
store = cg.build_store(cg.ionic_crystals(800), folder / "ionic.store", cg.GraphConfig.recommended())
train, valid, test = store.split((0.7, 0.15, 0.15), by="formula")

# %% [markdown]
# ## A network with a heteroscedastic loss
#
# The robust loss weights each error by a standard deviation that the network also predicts: a large
# one for crystals that are noisy or difficult to predict (aleatoric uncertainty).

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
# The encoder maps a crystal to a vector. A sparse Gaussian process on these vectors also predicts
# the target, with a larger standard deviation far from the training crystals.

# %%
process = cg.fit_gp(
    cg.embed(model, train), train.target(TARGET), cg.GPConfig(inducing=60, steps=150)
)

# %% [markdown]
# ## Calibration
#
# If the standard deviations are calibrated, the central 50 % interval contains half of the true
# values, the 90 % interval nine tenths. The *miscalibration area* is the area between this line and
# the observed fractions: 0 is perfect. A single factor, fitted on the validation set, corrects
# intervals that are all too wide or all too narrow.


# %%
def predict_with_network(data):
    found = cg.predict(model, data)
    return found.mean, found.std


def predict_with_process(data):
    return process.predict(cg.embed(model, data))


curves = {}
kinds = {"network": predict_with_network, "Gaussian process": predict_with_process}
for name, predict in kinds.items():
    factor = best_factor(*known_errors(valid.target(TARGET), *predict(valid)))
    mean, std = predict(test)
    for label, scale in ((name, 1.0), (f"{name} x {factor:.2f}", factor)):
        curves[label] = (test.target(TARGET), mean, scale * std)
        print(label, calibration_report(*curves[label]))
calibration(curves, unit="eV/atom")

# %% [markdown]
# ## Do large standard deviations mean large errors?
#
# Calibration is a property of all crystals together. For choosing crystals, the order matters: are
# the errors of the half with the smaller standard deviations smaller? For the network they are. The
# process, on the embedding of so small a network and with so few crystals, is calibrated, but its
# standard deviations do not indicate where the errors are large. Check both metrics.

# %%
for name, (value, mean, std) in curves.items():
    error = np.abs(mean - value)
    low = std <= np.median(std)
    print(f"{name}: {error[low].mean():.3f} half with smaller std, {error[~low].mean():.3f} others")
