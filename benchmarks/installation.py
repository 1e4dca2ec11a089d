"""From `pip install` to the first predictions in a new environment, in CPU seconds.

    python benchmarks/installation.py --json installation.json

Builds the wheel of this checkout and installs it with all that it needs, which downloads about
0.5 GB, then predicts one crystal twice: with an empty cache of compiled programs, and with what
the first call left there. CPU seconds depend little on other work on the machine.
"""

import argparse
import datetime
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from pymatgen.core import Lattice, Structure

ROOT = Path(__file__).resolve().parents[1]


def cpu_seconds(*command: str | Path, **variables: str) -> float:
    """Run a command, and return the processor time of it and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, env=os.environ | variables, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(folder: Path) -> dict[str, Any]:
    """Build, install and predict in a folder."""
    pip, bin_folder = (sys.executable, "-m", "pip", "-q"), folder / "env" / "bin"
    cpu_seconds(*pip, "wheel", "--no-deps", "-w", folder, ROOT)
    [wheel] = folder.glob("*.whl")
    install = cpu_seconds(sys.executable, "-m", "venv", folder / "env")
    install += cpu_seconds(bin_folder / "pip", "-q", "install", wheel)
    crystal = folder / "NaCl.cif"
    salt = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    salt.to(str(crystal))
    predict = (bin_folder / "cgatjax", "predict", "mp-small", crystal)
    first, again = (cpu_seconds(*predict, XDG_CACHE_HOME=f"{folder}/cache") for _ in range(2))
    files = [path for path in (folder / "env").rglob("*") if path.is_file()]
    return {
        "date": datetime.date.today().isoformat(),
        "python": platform.python_version(),
        "wheel_mb": wheel.stat().st_size / 1e6,
        "packages": len(list((folder / "env").rglob("*.dist-info"))),
        "disk_gb": sum(path.stat().st_size for path in files) / 1e9,
        "install_seconds": install,
        "first_prediction_seconds": first,
        "second_prediction_seconds": again,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="file for the results as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        text = json.dumps(measure(Path(name)), indent=1)
    print(text)
    if options.json is not None:
        options.json.write_text(text + "\n")
