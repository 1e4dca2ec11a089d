# %% [markdown]
# # Fine-tuning on few high-fidelity values
#
# Low-fidelity formation energies are known for many crystals, high-fidelity ones for few. Does it
# help to start from a network that was pre-trained on the former? Three transfer modes are compared
# on the same crystals, with the same number of steps: training from scratch (`none`), training only
# the regression head (`head`), and fine-tuning all parameters (`full`).

# %%
import tempfile
from pathlib import Path

import numpy as np

import cgatjax as cg
from cgatjax.plotting.learning_plots import learning_curves, transfer_bars

folder = Path(tempfile.mkdtemp())
LOW, HIGH = "e-form@low", "e-form@high"

# %% [markdown]
# ## Data without leakage
#
# All polymorphs of a composition go into the same subset. The validation and test crystals of the
# transfer must not be used in pre-training, not even with their low-fidelity energies. Here both
# trainings use the same split, so pre-training never sees them.

# %%
store = cg.build_store(cg.ionic_crystals(800), folder / "ionic.store", cg.GraphConfig.recommended())
pretraining, valid, test = store.split((0.7, 0.15, 0.15), by="formula")
few = pretraining.select(np.arange(100))
print(
    f"{len(pretraining)} low-fidelity energies; high-fidelity: {len(few)} train, {len(test)} test"
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
# ## Three transfer modes
#
# Mean and standard deviation of the target are refitted to the new data, and the last layer is
# rescaled accordingly, so that training starts with the predictions of the low-fidelity model.

# %%
recipe = recipe.replace(epochs=30, batch_size=32, learning_rate=2e-3, validate_every=5)
errors, histories = {}, {}
for mode in ("none", "head", "full"):
    options = cg.TransferConfig(mode=mode, target=HIGH, train=recipe)
    model, history = cg.transfer_model(low_model, (few, valid), options)
    errors[mode], histories[mode] = 1000 * cg.evaluate(model, test)["mae"], history.rows
print({mode: f"{error:.0f} meV/atom" for mode, error in errors.items()})
transfer_bars(errors, unit="meV/atom", title=f"{len(few)} high-fidelity energies")

# %% [markdown]
# With so few low-fidelity energies and so small a network the modes hardly differ on the test set:
# transfer is limited by the quality of pre-training. Use more crystals at the top, or see `make
# demo` (6,000 crystals) and the [results on real data](../../results/study/). The head start is
# visible nevertheless: transfer starts at a validation error that training from scratch does not
# reach.

# %%
learning_curves(histories, unit="eV/atom")

# %% [markdown]
# The report lists the loaded parameters, and the error of the low-fidelity model before training on
# any high-fidelity energy.

# %%
print(f"{len(history.report.loaded)} arrays loaded, {len(history.report.reinitialized)} new")
print(history.report.step_zero["valid"])
