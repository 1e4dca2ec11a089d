"""All sections of a folder as one HTML page that needs no other file, and as Markdown."""

import base64
import html
from pathlib import Path

from cgatjax.errors import InputError
from cgatjax.runtime.atomic_files import write_durably
from experiments.sections import FILE, Section, Table

TITLE = "Transfer learning for crystals: tables and figures"
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
       color: #222; }
h2 { margin-top: 3rem; border-bottom: 1px solid #ccc; }
table { border-collapse: collapse; margin: 1rem 0; font-size: 0.92em; }
caption { text-align: left; font-weight: 600; padding-bottom: 0.3rem; }
th, td { padding: 0.25rem 0.8rem; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child { text-align: left; }
figure { margin: 1.5rem 0; } figure img { max-width: 100%; } figcaption { color: #555; }
.differs { background: #fff6e0; padding: 0.5rem 0.8rem; }
code { background: #f2f2f2; padding: 0.1rem 0.3rem; }
"""


def write_report(out: Path, order: list[str]) -> Path:
    """Assembles OUT/report.html, and OUT/report.md, which shows the figures beside it.

    Args:
      out: folder with the results of experiments.
      order: names of experiments as they shall follow each other; others come behind.

    Raises:
      InputError: the folder holds no results.
    """
    found = {path.parent.name: Section.load(path.parent) for path in sorted(out.glob(f"*/{FILE}"))}
    if not found:
        raise InputError(
            f"{out}: expected results of experiments, found none; run one first "
            "(`python -m experiments run NAME --out FOLDER`)"
        )
    names = [n for n in order if n in found] + [n for n in found if n not in order]
    body = "\n".join(_section(found[name], out / name) for name in names)
    page = (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        f"<title>{TITLE}</title><style>{STYLE}</style></head><body>\n<h1>{TITLE}</h1>\n"
        "<p>Our numbers beside those of Hoffmann, Schmidt, Botti and Marques, Digital Discovery 2 "
        f"(2023) 1368.</p>\n{_contents(names, found)}\n{body}\n</body></html>\n"
    )
    file = out / "report.html"
    write_durably(file, page.encode())
    text = "\n\n".join([f"# {TITLE}", *(_as_markdown(found[n]) for n in names)])
    write_durably(out / "report.md", f"{text}\n".encode())
    return file


def _as_markdown(section: Section) -> str:
    parts = [f"## {section.title}", f"What differs from the paper: {section.differs}"]
    parts += section.paragraphs
    for table in section.tables:
        lines = [table.header, ("---",) * len(table.header), *table.rows]
        cells = (" | ".join(cell.replace("|", "\\|") for cell in line) for line in lines)
        parts.append("\n".join([f"**{table.caption}**", "", *(f"| {line} |" for line in cells)]))
    parts += [f"![{text}]({section.name}/{stem}.png)\n\n{text}" for stem, text in section.figures]
    return "\n\n".join([*parts, f"Made by `{section.command}`."])


def _contents(names: list[str], found: dict[str, Section]) -> str:
    items = [f"<li><a href='#{n}'>{html.escape(found[n].title)}</a></li>" for n in names]
    return f"<ul>{''.join(items)}</ul>"


def _section(section: Section, folder: Path) -> str:
    text = html.escape
    parts = [f"<h2 id='{section.name}'>{text(section.title)}</h2>"]
    parts.append(f"<p class='differs'>What differs from the paper: {text(section.differs)}</p>")
    parts += [f"<p>{text(paragraph)}</p>" for paragraph in section.paragraphs]
    parts += [_table(table) for table in section.tables]
    parts += [_figure(folder / f"{stem}.png", caption) for stem, caption in section.figures]
    parts.append(f"<p>Made by <code>{text(section.command)}</code></p>")
    return "\n".join(parts)


def _table(table: Table) -> str:
    def cells(row: tuple[str, ...], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(c)}</{tag}>" for c in row) + "</tr>"

    rows = "".join(cells(row, "td") for row in table.rows)
    caption = f"<caption>{html.escape(table.caption)}</caption>"
    return (
        f"<table>{caption}<thead>{cells(table.header, 'th')}</thead><tbody>{rows}</tbody></table>"
    )


def _figure(path: Path, caption: str) -> str:
    data = base64.b64encode(path.read_bytes()).decode()
    shown = html.escape(caption)
    return (
        f"<figure><img alt='{html.escape(caption, quote=True)}' src='data:image/png;base64,{data}'>"
        f"<figcaption>{shown}</figcaption></figure>"
    )
