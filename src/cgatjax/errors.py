"""Errors raised by cgatjax for bad input, options and files.

Each message states what was expected, what was found, and what to do. All errors derive from
`CgatjaxError`, so that a script can distinguish bad input from a bug.
"""


class CgatjaxError(Exception):
    """Base class of the errors of cgatjax."""


class ConfigError(CgatjaxError, ValueError):
    """Unknown option, or a value that is not allowed."""


class InputError(CgatjaxError, ValueError):
    """Malformed file or argument."""


class StructureError(InputError):
    """Unusable crystal; `--on-error skip` lists it and continues."""


class TargetError(InputError):
    """Target (a named property) that does not exist or has no values."""


class MismatchError(CgatjaxError, ValueError):
    """Inputs that do not fit together: a store and a model, weights and a network."""


class RunExistsError(CgatjaxError, FileExistsError):
    """Existing output folder that would be overwritten."""


class MissingExtraError(CgatjaxError, ImportError):
    """Optional package that is not installed."""


class NotFittedError(CgatjaxError, ValueError, AttributeError):
    """Prediction by an estimator that is not fitted; same bases as scikit-learn's error."""


class TrainingError(CgatjaxError, RuntimeError):
    """Failed training, for instance by too many non-finite losses in a row."""


class StorageError(CgatjaxError, OSError):
    """File that cannot be written: full disk, read-only folder, size limit.

    Everything that writes files raises it, and leaves the earlier ones as they were; the docstrings
    of functions do not repeat it.
    """


class DownloadError(CgatjaxError, RuntimeError):
    """Failed download: no connection, a refusal, or other bytes than announced."""


class Interrupted(CgatjaxError):
    """Run stopped by a signal after saving a checkpoint; it can be resumed.

    Attributes:
      signum: the signal, SIGTERM or SIGINT.
    """

    def __init__(self, message: str, signum: int) -> None:
        super().__init__(message)
        self.signum = signum
