"""Grids of trainings: resumable, shared by experiments, run by any number of processes.

A script of `experiments` lists the `Row`s of its table at a `Scale`, each with the `Training`s
that it needs, and turns the finished rows (`Results`) into the `Content` of a report's section:
texts, a `Table`, a `Figure`. The names below are all that a script needs; the modules are

experiment   Experiment, Results, Scale and TargetSet
training     specification of a training with its key; row of a results table
section      content of the report and its files; report: HTML page of all sections
datasets     stores, splits and subsets of the data sets of a scale; folders: missing data
pool         training, resuming and testing, each once
results      results.csv and the finished rows; runner: running of a grid within a time limit
locks        file locks between processes
acquisition  rounds of active learning, and their learners
"""

from experiments.grid.experiment import Experiment as Experiment
from experiments.grid.experiment import Results as Results
from experiments.grid.experiment import Scale as Scale
from experiments.grid.experiment import TargetSet as TargetSet
from experiments.grid.section import Content as Content
from experiments.grid.section import Figure as Figure
from experiments.grid.section import Table as Table
from experiments.grid.section import mean_and_spread as mean_and_spread
from experiments.grid.training import Row as Row
from experiments.grid.training import Training as Training
