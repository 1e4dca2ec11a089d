"""Loading of models and predictors by name, address or folder."""

from pathlib import Path

from cgatjax.inference.loading import member_folders, read_predictor
from cgatjax.inference.predictor import Predictor, Uncertainty
from cgatjax.model.model import Model
from cgatjax.model.model_io import read_model
from cgatjax.pretrained.cards import ModelCard
from cgatjax.pretrained.locations import locate, shipped
from cgatjax.pretrained.self_check import verify_once


def models() -> dict[str, ModelCard]:
    """Return name -> card of the models that come with the package.

    Raises:
      InputError: a card is damaged.
    """
    return {name: ModelCard.read(folder) for name, folder in shipped().items()}


def load_model(source: str | Path) -> Model:
    """Load a model by name, from its folder or run folder, or from an address.

    A model with a self-check is verified when it is first loaded, once for each version of the
    package and the libraries.

    Args:
      source: a name of `cgatjax.models()`; the folder of a model, or of the run that holds it as
        `model/`; or the http(s) address of a model's folder, whose files are downloaded once.
        #sha256=HEX after the address pins the hash of its manifest.

    Raises:
      InputError: there is no model, an ensemble, or a file of the model is damaged.
      MismatchError: the weights are not those of the described network (all differences are
        listed), or the self-check of the model failed.
      DownloadError: the address has no such model.
    """
    folder = locate(source)
    verify_once(folder)
    return read_model(folder)


def load_predictor(source: str | Path, uncertainty: Uncertainty | None = None) -> Predictor:
    """Load the predictor of a model or a run: one model, or all members of an ensemble.

    Args:
      source: as of `load_model`, or the folder of an ensemble's run.
      uncertainty: kind of standard deviation; by default the first of "ensemble" and "aleatoric"
        that the run has. "gp", a fitted Gaussian process, is used on request only.

    Raises:
      InputError: there is no model, or a file of it is damaged; a member has no model yet.
      MismatchError: members that do not fit together, a Gaussian process or calibration that
        belongs to other weights, or a self-check that failed.
      ConfigError: the run does not have this kind of uncertainty.
      DownloadError: the address has no such model.
    """
    folder = locate(source)
    for member in member_folders(folder):
        verify_once(member)
    return read_predictor(folder, uncertainty)
