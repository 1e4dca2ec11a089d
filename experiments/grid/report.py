"""Report of all experiments of a scale: one self-contained HTML page, and Markdown."""

import base64
import html
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from cgatjax import __version__
from cgatjax.errors import InputError
from cgatjax.runtime.files import write_durably
from experiments.grid.section import FILE, Figure, Section, Table

TITLE = "Transfer learning for crystals: tables and figures"
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
       color: #222; }
h2 { margin-top: 3rem; border-bottom: 1px solid #ccc; }
table { border-collapse: collapse; margin: 1rem 0; font-size: 0.92em; display: block;
        overflow-x: auto; }
caption { text-align: left; font-weight: 600; padding-bottom: 0.3rem; }
th, td { padding: 0.25rem 0.8rem; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child { text-align: left; }
figure { margin: 1.5rem 0; } figure img { max-width: 100%; } figcaption { color: #555; }
.differs { background: #fff6e0; padding: 0.5rem 0.8rem; }
code { background: #f2f2f2; padding: 0.1rem 0.3rem; }
"""


def write_report(out: Path, order: Sequence[str]) -> Path:
    """Write OUT/report.html, and OUT/report.md, which refers to the figures' files.

    Args:
      out: folder of the results of a scale.
      order: names of the experiments in order; others follow.

    Raises:
      InputError: the folder has no results.
    """
    found = {path.parent.name: Section.load(path.parent) for path in sorted(out.glob(f"*/{FILE}"))}
    if not found:
        raise InputError(
            f"{out}: expected results of experiments, found none; run one first "
            "(`python -m experiments run NAME --out FOLDER`)"
        )
    missing = ", ".join(name for name in order if name not in found) or "none"
    about = f"{date.today()}, cgatjax {__version__}; experiments without results: {missing}."
    sections = [found.pop(name) for name in order if name in found] + list(found.values())
    links = (f"<li><a href='#{s.name}'>{html.escape(s.title)}</a></li>" for s in sections)
    body = "\n".join(_section_html(section, out / section.name) for section in sections)
    page = (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{TITLE}</title><style>{STYLE}</style></head><body>\n<h1>{TITLE}</h1>\n"
        "<p>Our numbers beside those of Hoffmann, Schmidt, Botti and Marques, Digital Discovery 2 "
        f"(2023) 1368. {about}</p>\n<ul>{''.join(links)}</ul>\n{body}\n</body></html>\n"
    )
    file = out / "report.html"
    write_durably(file, page.encode())
    text = "\n\n".join([f"# {TITLE}", about, *(_section_markdown(section) for section in sections)])
    write_durably(out / "report.md", f"{text}\n".encode())
    return file


def _section_markdown(section: Section) -> str:
    parts = [f"## {section.title}", f"Differences from the paper: {section.differs}"]
    parts += section.paragraphs
    for table in section.tables:
        lines = [table.header, ("---",) * len(table.header), *table.rows]
        cells = (" | ".join(cell.replace("|", "\\|") for cell in line) for line in lines)
        parts.append("\n".join([f"**{table.caption}**", "", *(f"| {line} |" for line in cells)]))
    parts += [
        f"![{f.caption}]({section.name}/{f.name}.png)\n\n{f.caption}" for f in section.figures
    ]
    return "\n\n".join([*parts, f"Made by `{section.command}`."])


def _section_html(section: Section, folder: Path) -> str:
    escape = html.escape
    parts = [f"<h2 id='{section.name}'>{escape(section.title)}</h2>"]
    parts.append(f"<p class='differs'>Differences from the paper: {escape(section.differs)}</p>")
    parts += [f"<p>{escape(paragraph)}</p>" for paragraph in section.paragraphs]
    parts += [_table_html(table) for table in section.tables]
    parts += [_figure_html(figure, folder) for figure in section.figures]
    return "\n".join([*parts, f"<p>Made by <code>{escape(section.command)}</code></p>"])


def _table_html(table: Table) -> str:
    def line(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(c)}</{tag}>" for c in cells) + "</tr>"

    rows = "".join(line(row, "td") for row in table.rows)
    return (
        f"<table><caption>{html.escape(table.caption)}</caption>"
        f"<thead>{line(table.header, 'th')}</thead><tbody>{rows}</tbody></table>"
    )


def _figure_html(figure: Figure, folder: Path) -> str:
    data = base64.b64encode((folder / f"{figure.name}.png").read_bytes()).decode()
    caption = html.escape(figure.caption)
    return (
        f"<figure><img alt='{caption}' src='data:image/png;base64,{data}'>"
        f"<figcaption>{caption}</figcaption></figure>"
    )
