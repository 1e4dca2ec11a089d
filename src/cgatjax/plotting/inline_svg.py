"""Figures as SVG inside of a web page: no files, no fonts, colors of a light or a dark page."""

import io
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BLACK = re.compile(r"(fill|stroke): #000000")


def to_svg(figure: "Figure", name: str, *, follows_page: bool = True) -> str:
    """Format a figure as an SVG element that takes the width of the page.

    A name, distinct on the page, makes internal references distinct, too. If it `follows_page`,
    black lines and text have the page's text color, on no background; False is for figures with a
    background of their own.
    """
    from matplotlib import rc_context

    file = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(
            file, format="svg", transparent=follows_page, metadata={"Date": None, "Creator": None}
        )
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # Matplotlib's names are the same in each figure.
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(xlink:href="#|url\(#)', rf"\g<1>{name}-", text)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r'\1 role="img"', text, count=1)
    text = re.sub(r"font: ([^;\"]*)'[^;\"]*", r"font: \1system-ui, sans-serif", text)
    if follows_page:
        text = _BLACK.sub(r"\1: currentColor", text)
        text = re.sub(
            r'<text(?![^>]*fill:)([^>]*?)style="', r'<text\1style="fill: currentColor; ', text
        )
    return text
