"""Analysis of results: scaling laws, computing budgets, comparisons over random seeds."""

from cgatjax.analysis.budget import BudgetPlan as BudgetPlan
from cgatjax.analysis.budget import Fidelities as Fidelities
from cgatjax.analysis.budget import plan_budget as plan_budget
from cgatjax.analysis.joint_scaling import JointPowerLaw as JointPowerLaw
from cgatjax.analysis.joint_scaling import fit_joint_power_law as fit_joint_power_law
from cgatjax.analysis.regression import Bootstrap as Bootstrap
from cgatjax.analysis.scaling import CHEMICAL_ACCURACY as CHEMICAL_ACCURACY
from cgatjax.analysis.scaling import Estimate as Estimate
from cgatjax.analysis.scaling import PowerLaw as PowerLaw
from cgatjax.analysis.scaling import equivalent_size as equivalent_size
from cgatjax.analysis.scaling import fit_power_law as fit_power_law
from cgatjax.analysis.seeds import Comparison as Comparison
from cgatjax.analysis.seeds import SeedSpread as SeedSpread
