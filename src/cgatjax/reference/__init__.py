"""Conversion of weights, checkpoints and features of the PyTorch reference `hyllios/CGAT`."""

from cgatjax.reference.checkpoint import Checkpoint as Checkpoint
from cgatjax.reference.checkpoint import load_checkpoint as load_checkpoint
from cgatjax.reference.checkpoint import read_checkpoint as read_checkpoint
from cgatjax.reference.checkpoint import state_dict_from_model as state_dict_from_model
from cgatjax.reference.features import Features as Features
from cgatjax.reference.features import read_features as read_features
from cgatjax.reference.features import store_features as store_features
from cgatjax.reference.weights import ImportedParams as ImportedParams
from cgatjax.reference.weights import config_from_state_dict as config_from_state_dict
from cgatjax.reference.weights import params_from_state_dict as params_from_state_dict
from cgatjax.reference.weights import state_dict_from_params as state_dict_from_params
