"""Crystal graph attention networks and transfer learning in JAX.

Names are loaded when first used, so that `import cgatjax` is quick and needs neither pymatgen,
orbax nor matplotlib.
"""

import importlib
from typing import TYPE_CHECKING, Any

from cgatjax._version import __version__ as __version__

if TYPE_CHECKING:
    from cgatjax import reference as reference
    from cgatjax.active_learning import Selection as Selection
    from cgatjax.active_learning import select as select
    from cgatjax.config import GraphConfig as GraphConfig
    from cgatjax.config import ModelConfig as ModelConfig
    from cgatjax.config import TrainConfig as TrainConfig
    from cgatjax.config import TransferConfig as TransferConfig
    from cgatjax.data.batching import CrystalBatch as CrystalBatch
    from cgatjax.data.batching import collate as collate
    from cgatjax.data.build import build_store as build_store
    from cgatjax.data.datasets import Dataset as Dataset
    from cgatjax.data.filters import Filter as Filter
    from cgatjax.data.leakage import exclude as exclude
    from cgatjax.data.overlap import Overlap as Overlap
    from cgatjax.data.overlap import compare as compare
    from cgatjax.data.overlap import find_duplicates as find_duplicates
    from cgatjax.data.splits import Split as Split
    from cgatjax.data.store import Store as Store
    from cgatjax.data.store import open_store as open_store
    from cgatjax.errors import CgatjaxError as CgatjaxError
    from cgatjax.graphs.crystal_graph import CrystalGraph as CrystalGraph
    from cgatjax.graphs.crystal_graph import featurize as featurize
    from cgatjax.graphs.hashes import graph_hash as graph_hash
    from cgatjax.graphs.hashes import prototype_hash as prototype_hash
    from cgatjax.graphs.reduction import reduce_graph as reduce_graph
    from cgatjax.inference.gp_fitting import GPConfig as GPConfig
    from cgatjax.inference.gp_fitting import fit_gp as fit_gp
    from cgatjax.inference.interpretation import Explanation as Explanation
    from cgatjax.inference.interpretation import explain as explain
    from cgatjax.inference.loading import load_predictor as load_predictor
    from cgatjax.inference.prediction import Predictions as Predictions
    from cgatjax.inference.prediction import embed as embed
    from cgatjax.inference.prediction import evaluate as evaluate
    from cgatjax.inference.prediction import predict as predict
    from cgatjax.inference.predictor import Predictor as Predictor
    from cgatjax.integrations.matbench_files import MatbenchTask as MatbenchTask
    from cgatjax.integrations.matbench_tasks import run_matbench as run_matbench
    from cgatjax.integrations.sklearn_estimator import CGATRegressor as CGATRegressor
    from cgatjax.models.model import Model as Model
    from cgatjax.models.model import init_model as init_model
    from cgatjax.models.model_io import load_model as load_model
    from cgatjax.models.model_io import save_model as save_model
    from cgatjax.models.normalizer import Normalizer as Normalizer
    from cgatjax.nn.cgat import CGAT as CGAT
    from cgatjax.preprocessing.downloads import download as download
    from cgatjax.preprocessing.hull import HullEnergies as HullEnergies
    from cgatjax.preprocessing.hull import hull_energies as hull_energies
    from cgatjax.preprocessing.hull_files import add_hull as add_hull
    from cgatjax.preprocessing.records import find_record as find_record
    from cgatjax.preprocessing.unpacking import unpack as unpack
    from cgatjax.runs.loggers import Logger as Logger
    from cgatjax.runs.loggers import TensorBoardLogger as TensorBoardLogger
    from cgatjax.runs.loggers import WandbLogger as WandbLogger
    from cgatjax.runs.run_folder import RunFolder as RunFolder
    from cgatjax.screening.composition_filter import CompositionFilter as CompositionFilter
    from cgatjax.screening.ranking import Keep as Keep
    from cgatjax.screening.screen_loop import Screened as Screened
    from cgatjax.screening.screen_loop import screen as screen
    from cgatjax.structures.crystal import Crystal as Crystal
    from cgatjax.structures.elements import ElementTable as ElementTable
    from cgatjax.structures.readers import read_crystals as read_crystals
    from cgatjax.synthetic.dataset import ionic_crystals as ionic_crystals
    from cgatjax.training.ensembles import fit_ensemble as fit_ensemble
    from cgatjax.training.ensembles import transfer_ensemble as transfer_ensemble
    from cgatjax.training.history import History as History
    from cgatjax.training.loop import fit as fit
    from cgatjax.training.transfer import transfer_model as transfer_model

_HOMES = {
    "models.model_io": ("load_model", "save_model"),
    "config": ("GraphConfig", "ModelConfig", "TrainConfig", "TransferConfig"),
    "preprocessing.records": ("find_record",),
    "data.batching": ("CrystalBatch", "collate"),
    "data.build": ("build_store",),
    "screening.composition_filter": ("CompositionFilter",),
    "synthetic.dataset": ("ionic_crystals",),
    "preprocessing.downloads": ("download",),
    "structures.elements": ("ElementTable",),
    "graphs.hashes": ("graph_hash", "prototype_hash"),
    "graphs.crystal_graph": ("CrystalGraph", "featurize"),
    "preprocessing.hull": ("HullEnergies", "hull_energies"),
    "preprocessing.hull_files": ("add_hull",),
    "data.filters": ("Filter",),
    "data.leakage": ("exclude",),
    "integrations.matbench_files": ("MatbenchTask",),
    "models.normalizer": ("Normalizer",),
    "data.overlap": ("Overlap", "find_duplicates", "compare"),
    "structures.readers": ("read_crystals",),
    "graphs.reduction": ("reduce_graph",),
    "data.splits": ("Split",),
    "data.store": ("Store", "open_store"),
    "structures.crystal": ("Crystal",),
    "data.datasets": ("Dataset",),
    "preprocessing.unpacking": ("unpack",),
    "training.ensembles": ("fit_ensemble", "transfer_ensemble"),
    "inference.loading": ("load_predictor",),
    "errors": ("CgatjaxError",),
    "inference.gp_fitting": ("GPConfig", "fit_gp"),
    "inference.prediction": ("Predictions", "embed", "evaluate", "predict"),
    "runs.loggers": ("Logger", "TensorBoardLogger", "WandbLogger"),
    "integrations.matbench_tasks": ("run_matbench",),
    "models.model": ("Model", "init_model"),
    "nn.cgat": ("CGAT",),
    "inference.predictor": ("Predictor",),
    "integrations.sklearn_estimator": ("CGATRegressor",),
    "runs.run_folder": ("RunFolder",),
    "inference.interpretation": ("Explanation", "explain"),
    "training.history": ("History",),
    "active_learning": ("Selection", "select"),
    "screening.ranking": ("Keep",),
    "screening.screen_loop": ("Screened", "screen"),
    "training.loop": ("fit",),
    "training.transfer": ("transfer_model",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = ["__version__", "reference", *sorted(_HOME_OF)]


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used."""
    if name == "reference":
        return importlib.import_module("cgatjax.reference")
    if name not in _HOME_OF:
        raise AttributeError(f"module 'cgatjax' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"cgatjax.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
