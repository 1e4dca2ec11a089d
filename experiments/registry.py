"""All experiments, in the order of the report."""

from experiments.ablations import ABLATIONS
from experiments.active_learning import ACTIVE_LEARNING
from experiments.budget import BUDGET_PLAN
from experiments.curves import PRETRAINING_SIZE, TRAINING_SIZE
from experiments.data_report import DATA_REPORT
from experiments.experiment import Experiment
from experiments.interproperty import INTERPROPERTY
from experiments.learning_curves import LEARNING_CURVES
from experiments.table1 import TABLE1

EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment
    for experiment in (
        DATA_REPORT,
        TABLE1,
        LEARNING_CURVES,
        TRAINING_SIZE,
        PRETRAINING_SIZE,
        BUDGET_PLAN,
        INTERPROPERTY,
        ABLATIONS,
        ACTIVE_LEARNING,
    )
}
"""Name -> experiment."""
