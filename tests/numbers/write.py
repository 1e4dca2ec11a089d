"""Write the stored numbers of the gate anew, after a change that alters them on purpose.

PYTHONPATH=src:. python -m tests.numbers.write
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import tests.conftest  # noqa: F401 - the devices and compiler options of the tests

from cgatjax.model.model import versions

from tests.numbers.gate import STORED, Gate, difference, layers, load  # isort: skip


def main() -> None:
    """Print the largest differences from the numbers so far, and write the new ones."""
    with TemporaryDirectory() as folder:
        _write(Gate(Path(folder)))


def _write(gate: Gate) -> None:
    found = gate.numbers(gate.model)
    if STORED.is_file():
        print("relative differences from the stored numbers:", difference(found, load()))
    content = {
        "layers": layers(gate.model),
        "versions": versions(),
        **{name: [float(f"{v:.9g}") for v in values] for name, values in found.items()},
    }
    STORED.write_text(json.dumps(content, indent=0) + "\n")


if __name__ == "__main__":
    main()
