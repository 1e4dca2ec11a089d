"""All experiments, in the order of the report."""

from experiments.budget import BUDGET_PLAN
from experiments.curves import PRETRAINING_SIZE, TRAINING_SIZE
from experiments.data_report import DATA_REPORT
from experiments.experiment import Experiment
from experiments.table1 import TABLE1

EXPERIMENTS: dict[str, Experiment] = {
    e.name: e for e in (DATA_REPORT, TABLE1, TRAINING_SIZE, PRETRAINING_SIZE, BUDGET_PLAN)
}
"""Name -> experiment."""
