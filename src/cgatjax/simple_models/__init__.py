"""Simple models of properties from composition statistics, to compare networks with."""

from cgatjax.simple_models.features import composition_features as composition_features
from cgatjax.simple_models.features import feature_names as feature_names
from cgatjax.simple_models.models import MODELS as MODELS
from cgatjax.simple_models.models import SimpleModel as SimpleModel
