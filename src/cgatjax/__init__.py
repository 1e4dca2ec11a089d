"""Crystal graph attention networks and transfer learning in JAX.

Public names stand in `__init__.pyi`. They are loaded when first used, so that `import cgatjax` is
quick and needs neither pymatgen, orbax nor matplotlib.
"""

import lazy_loader

from cgatjax._version import __version__ as __version__

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
