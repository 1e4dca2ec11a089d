"""The way from and to the reference, the PyTorch code `hyllios/CGAT`: weights, checkpoints, features."""

from cgatjax.reference.weights import ImportedParams as ImportedParams
from cgatjax.reference.weights import config_from_state_dict as config_from_state_dict
from cgatjax.reference.weights import params_from_state_dict as params_from_state_dict
from cgatjax.reference.weights import state_dict_from_params as state_dict_from_params
