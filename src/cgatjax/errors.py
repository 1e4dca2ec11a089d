"""Every error that cgatjax raises on purpose.

Each message says what was expected, what came, and what to do about it. All of them derive from
`CgatjaxError`, so that a script can tell "this input is bad" from a bug.
"""


class CgatjaxError(Exception):
    """Base class of all errors raised on purpose by cgatjax."""


class ConfigError(CgatjaxError, ValueError):
    """An option has a value that is not allowed, or a configuration names an unknown option."""


class InputError(CgatjaxError, ValueError):
    """A file or an argument does not hold what it should."""


class StructureError(InputError):
    """One crystal cannot be used; `--on-error skip` records it and goes on."""


class TargetError(InputError):
    """A target (a named property) does not exist, or has no values."""


class MismatchError(CgatjaxError, ValueError):
    """Two things that must belong together do not: a store and a model, weights and a network."""


class RunExistsError(CgatjaxError, FileExistsError):
    """An output folder exists already and would be overwritten."""


class MissingExtraError(CgatjaxError, ImportError):
    """A feature needs an optional package that is not installed."""


class NotFittedError(CgatjaxError, ValueError, AttributeError):
    """An estimator is asked to predict before it was fitted; scikit-learn's has the same bases."""


class TrainingError(CgatjaxError, RuntimeError):
    """Training cannot go on (for instance, too many non-finite losses in a row)."""


class StorageError(CgatjaxError, OSError):
    """A file cannot be written: the disk is full, the folder is read-only, a limit is reached."""


class DownloadError(CgatjaxError, RuntimeError):
    """Something cannot be fetched: no connection, a refusal, or bytes other than announced."""


class Interrupted(CgatjaxError):
    """A run stopped because a signal asked for it; its state is saved and can be resumed.

    Attributes:
      signum: the signal, SIGTERM or SIGINT.
    """

    def __init__(self, message: str, signum: int) -> None:
        super().__init__(message)
        self.signum = signum
