"""Write the page of the models that come with the package from their cards.

PYTHONPATH=src python docs/models.py
"""

import textwrap
from pathlib import Path

import cgatjax as cg

PAGE = Path(__file__).with_suffix(".md")
INTRODUCTION = """\
<!-- Written by docs/models.py. -->
# The models

The cards of the models that come with the package, as `cgatjax info NAME` shows them. How to use
them: [Pre-trained models](guides/pretrained.md). They are made by `python -m experiments pretrain`
([details](experiments.md#pre-trained-models))."""


def page() -> str:
    """Return the whole page."""
    cards = [card.text().replace("\n## ", "\n### ").replace("# ", "## ", 1)
             for card in cg.models().values()]  # fmt: skip
    return "\n\n".join([INTRODUCTION, *map(_wrapped, cards or ["None yet."])]).rstrip() + "\n"


def _wrapped(text: str) -> str:
    """Wrap all lines but those of tables and headings."""
    lines = []
    for line in text.rstrip().splitlines():
        indent = "  " if line.startswith("- ") else ""
        fixed = line.startswith(("|", "#")) or not line
        lines += [line] if fixed else textwrap.wrap(line, 100, subsequent_indent=indent)
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page())
