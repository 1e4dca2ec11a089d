# %% [markdown]
# # Fine-tuning on few high-fidelity values
#
# Density functional theory (PBE) gives formation energies of many crystals; measured ones are few.
# Does it help to start from a model of the former, `mp-small`, which comes with the package? Three
# transfer modes are compared on the same crystals, with the same number of steps: training from
# scratch (`none`), training only the regression head (`head`), and fine-tuning all parameters
# (`full`).

# %%
import re
import tempfile
from pathlib import Path

import numpy as np
from pymatgen.core import Composition

import cgatjax as cg
from cgatjax.plotting.learning_plots import learning_curves, parity, transfer_bars

folder = Path(tempfile.mkdtemp())
TARGET = "e-form@experiment"

# %% [markdown]
# ## Measured enthalpies of formation
#
# Standard enthalpies of formation at 298 K of compounds with simple structures, in kJ/mol, within
# 1 kJ/mol of the NBS tables (Wagman et al., J. Phys. Chem. Ref. Data 11, Suppl. 2, 1982). The
# network sees the order of neighbors and no distances, so the structure type makes the crystal.

# %%
MEASURED = """
rocksalt: LiH -90.5 NaH -56.3 KH -57.7 LiF -616.0 LiCl -408.6 LiBr -351.2 LiI -270.4 NaCl -411.2
  NaBr -361.1 NaI -287.8 KF -567.3 KCl -436.5 KBr -393.8 KI -327.9 RbF -557.7 RbCl -435.4 RbBr
  -394.6 RbI -333.8 CsF -553.5 AgF -204.6 AgCl -127.0 AgBr -100.4 MgO -601.6 CaO -634.9 SrO
  -592.0 MnO -385.2 CoO -237.9 NiO -239.7 CdO -258.4 MgS -346.0 CaS -482.4 SrS -472.4 BaS -460.0
  MnS -214.2 PbS -100.4 PbSe -102.9 PbTe -70.7 TiC -184.5 HfC -251.0 NbC -138.9 TiN -337.7 ZrN
  -365.3 VN -217.1 TaN -251.0
cscl: CsCl -443.0 CsBr -405.8 CsI -346.6 TlCl -204.1 TlBr -173.2
zincblende: ZnS -206.0 CuCl -137.2 CuBr -104.6 CuI -67.8 AlP -166.5 AlAs -116.3 GaP -88.0 GaAs
  -71.0 InP -88.7 InAs -58.6 GaSb -41.8 InSb -30.5 ZnSe -163.0 CdTe -92.5 SiC -65.3 ZnTe -117.0
  HgTe -42.0 HgSe -46.0
wurtzite: BeO -609.4 CdS -161.9 AlN -318.0 AgI -61.8
fluorite: SrF2 -1216.3 BaF2 -1207.1 CdF2 -700.4 CeO2 -1088.7 ThO2 -1226.4 UO2 -1085.0 SrCl2
  -828.9 PbF2 -664.0
antifluorite: Li2O -597.9 Na2O -414.2 K2O -361.5 Rb2O -339.0 Li2S -441.4 Na2S -364.8 K2S -380.7
  Mg2Si -77.8 Rb2S -360.7
rutile: TiO2 -944.0 MnO2 -520.0 MgF2 -1124.2 ZnF2 -764.4 NiF2 -651.4 CoF2 -692.0 FeF2 -711.3
  PbO2 -277.4 RuO2 -305.0 MoO2 -588.9
cdi2: MgBr2 -524.3 MgI2 -364.0 CaI2 -533.5 CdI2 -203.3 PbI2 -175.5 MnBr2 -384.9 FeBr2 -249.8
  CoBr2 -220.9
cdcl2: MgCl2 -641.3 MnCl2 -481.3 FeCl2 -341.8 CoCl2 -312.5 NiCl2 -305.3 CdCl2 -391.5 NiBr2
  -212.1 CdBr2 -316.2
cuprite: Cu2O -168.6 Ag2O -31.1
corundum: Al2O3 -1675.7 Fe2O3 -824.2 Cr2O3 -1139.7 Ti2O3 -1520.9 V2O3 -1218.8
la2o3: La2O3 -1793.7 Nd2O3 -1807.9 Ce2O3 -1796.2 Pr2O3 -1809.6
nias: FeS -100.0 CoS -82.8
litharge: PbO -219.0
cooperite: PdO -85.4 PtS -81.6
perovskite: SrTiO3 -1672.0 BaTiO3 -1659.8
ilmenite: MgTiO3 -1572.8
spinel: FeCr2O4 -1444.7
scheelite: CaWO4 -1645.1 CaMoO4 -1541.4
zircon: ZrSiO4 -2033.4
rhenium-trioxide: ReO3 -605.0
"""
KJ_PER_MOL = 1 / 96.485  # in eV


def crystal(structure: str, formula: str, enthalpy: float) -> cg.Crystal:
    """Put the elements of a formula, in its order, on the sites of a structure type."""
    prototype, composition = cg.find_prototype(structure), Composition(formula)
    numbers = np.array([element.Z for element in composition])
    return cg.Crystal(
        id=formula,
        atomic_numbers=numbers[prototype.site_roles],
        lattice=prototype.lattice * 2.4 / prototype.nearest.min(),
        frac_coords=prototype.frac_coords,
        targets={TARGET: enthalpy * KJ_PER_MOL / composition.num_atoms},
    )


crystals = []
for block in re.split(r"\n(?=\w)", MEASURED.strip()):
    structure, values = block.split(":")
    pairs = re.findall(r"(\w+)\s+(-[\d.]+)", values)
    crystals += [crystal(structure, formula, float(value)) for formula, value in pairs]

store = cg.build_store(crystals, folder / "measured.store", cg.GraphConfig.recommended())
train, valid, test = store.split((0.5, 0.15, 0.35), by="formula")
print(f"{len(train)} training, {len(valid)} validation, {len(test)} test crystals")

# %% [markdown]
# ## The pre-trained model
#
# It has been trained on PBE energies, of some of these compounds as well, and says so. Low-fidelity
# values of a compound are no leakage if they will be known for new compounds, too; measured ones it
# has never seen. Its predictions differ from them by its own errors and by those of PBE.

# %%
pretrained = cg.load_model("mp-small")
seen = cg.load_predictor("mp-small").seen(test, by="formula")
measured = test.target(TARGET)
pbe = cg.predict(pretrained, test).means["e-form@PBE"]
print(f"{seen.sum()} of {len(test)} test formulas were in the training set of mp-small")
print(f"its predictions differ by {1000 * np.abs(pbe - measured).mean():.0f} meV/atom")

# %% [markdown]
# ## Three transfer modes
#
# Mean and standard deviation of the target are refitted to the new data, and the last layer is
# rescaled accordingly, so that training starts with the predictions of the pre-trained model.

# %%
recipe = cg.TrainConfig(
    epochs=30, batch_size=16, learning_rate=5e-4, loss="robust_l1", validate_every=3
)
errors, histories, models = {"mp-small as it is": 1000 * np.abs(pbe - measured).mean()}, {}, {}
for mode in ("none", "head", "full"):
    options = cg.TransferConfig(mode=mode, target=TARGET, train=recipe)
    models[mode], history = cg.transfer_model(pretrained, (train, valid), options)
    errors[mode], histories[mode] = 1000 * cg.evaluate(models[mode], test)["mae"], history.rows
print({mode: f"{error:.0f} meV/atom" for mode, error in errors.items()})
transfer_bars(errors, unit="meV/atom", title=f"{len(train)} measured enthalpies")

# %% [markdown]
# Starting from the pre-trained model, 69 measurements suffice for a quarter of the error of a
# network that has nothing else to learn from. Head and full transfer differ little with so few:
# [results on 100 to 1,000 crystals](../../results/pretrained/) show when the latter pays.

# %%
learning_curves(histories, unit="eV/atom")

# %%
parity(measured, cg.predict(models["full"], test).means[TARGET], unit="eV/atom")
