"""Print the changes of a release, after checks that its tag, version and changelog agree.

python .github/release_notes.py v0.1.0 > notes.md
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def release_notes(tag: str, root: Path = ROOT) -> str:
    """Return the section of a release in CHANGELOG.md.

    Raises:
      SystemExit: the tag is not that of the version, or the changelog has no such release.
    """
    version = re.findall(r'__version__ = "(.+)"', (root / "src/cgatjax/_version.py").read_text())[0]
    if tag != f"v{version}":
        sys.exit(f"expected the tag v{version} of src/cgatjax/_version.py, got {tag}")
    cited = re.findall(r"^version: (.+)$", (root / "CITATION.cff").read_text(), re.MULTILINE)
    if cited != [version]:
        sys.exit(f"CITATION.cff: expected version: {version}, found {cited}")
    sections = re.split(r"^## ", (root / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    dated = re.compile(rf"\[{re.escape(version)}\] - \d{{4}}-\d{{2}}-\d{{2}}\n")
    found = [section for section in sections if dated.match(section)]
    if len(found) != 1:
        sys.exit(f"CHANGELOG.md: expected one heading '## [{version}] - YYYY-MM-DD'")
    return found[0].split("\n", 1)[1].strip() + "\n"


if __name__ == "__main__":
    print(release_notes(sys.argv[1]), end="")
