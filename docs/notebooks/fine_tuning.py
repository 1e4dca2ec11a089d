# %% [markdown]
# # Fine-tuning on few accurate values
#
# Low-fidelity formation energies are known for many crystals, high-fidelity ones for few. Is it
# worth it to start from a network that has learned the former? Three modes of transfer are compared
# on the same crystals, with the same number of steps: from scratch (`none`), training the
# regression head alone (`head`), training everything on (`full`).

# %%
import tempfile
from pathlib import Path

import numpy as np

import cgatjax as cg
from cgatjax.plotting.learning_plots import learning_curves, transfer_bars

folder = Path(tempfile.mkdtemp())
LOW, HIGH = "e-form@low", "e-form@high"

# %% [markdown]
# ## Data, and what must stay unseen
#
# All polymorphs of a composition go into one part of the split. What the transfer is judged by may
# not be seen in pre-training either, not even with its cheap energy: the crystals for validation
# and test are taken out of it.

# %%
store = cg.build_store(cg.ionic_crystals(800), folder / "ionic.store", cg.GraphConfig.recommended())
pretraining, valid, test = store.split((0.7, 0.15, 0.15), by="formula")
few = pretraining.select(np.arange(100))
print(
    f"{len(pretraining)} cheap energies; {len(few)} dear ones to train on, {len(test)} to judge by"
)

# %% [markdown]
# ## Pre-training

# %%
network = cg.ModelConfig.small(
    node_dim=16, edge_dim=8, heads=2, steps=1, composition_steps=1, head_widths=(64, 32)
)
recipe = cg.TrainConfig(epochs=15, learning_rate=4e-3, validate_every=3, loss="robust_l1")
low_model = cg.init_model(network, store, target=LOW, seed=0)
low_model, _ = cg.fit(low_model, pretraining, valid, recipe)

# %% [markdown]
# ## Three ways to learn the dear energies
#
# Mean and standard deviation of the target are refitted to the new data, and the last layer is
# rescaled with them, so that training begins with the predictions of the cheap model.

# %%
recipe = recipe.replace(epochs=30, batch_size=32, learning_rate=2e-3, validate_every=5)
errors, histories = {}, {}
for mode in ("none", "head", "full"):
    options = cg.TransferConfig(mode=mode, target=HIGH, train=recipe)
    model, history = cg.transfer_model(low_model, (few, valid), options)
    errors[mode], histories[mode] = 1000 * cg.evaluate(model, test)["mae"], history.rows
print({mode: f"{error:.0f} meV/atom" for mode, error in errors.items()})
transfer_bars(errors, unit="meV/atom", title=f"{len(few)} dear energies")

# %% [markdown]
# With so few cheap energies and so small a network the ways hardly differ on the test set: transfer
# can carry over only what pre-training has learned. Take more crystals at the top, or see `make
# demo` (6,000 crystals) and the [results on real data](../../results/transfer/). What shows already
# is the head start: in validation, transfer begins where training from scratch does not arrive.

# %%
learning_curves(histories, unit="eV/atom")

# %% [markdown]
# The report says what was carried over, and how good the cheap model was before it had seen a
# single dear energy.

# %%
print(f"{len(history.report.loaded)} arrays loaded, {len(history.report.reinitialized)} new")
print(history.report.step_zero["valid"])
