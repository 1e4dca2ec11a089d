"""Check the links between the pages of a built site, including those inside notebooks.

python docs/links.py site
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlparse


class Page(HTMLParser):
    """Links of a page, and the anchors in it."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(file.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.links.append(value)
            elif name in ("id", "name") and value:
                self.anchors.add(value)


def broken(site: Path) -> list[str]:
    """Return links to missing files or anchors, as "page: link"."""
    files = [file for file in sorted(site.resolve().rglob("*.html")) if file.name != "404.html"]
    pages = {file: Page(file) for file in files}
    return [
        f"{file.relative_to(site.resolve())}: {link}"
        for file, page in pages.items()
        for link in page.links
        if not _exists(link, file, pages)
    ]


def _exists(link: str, file: Path, pages: dict[Path, Page]) -> bool:
    url = urlparse(link)
    if url.scheme or url.netloc:
        return True
    target = (file.parent / unquote(url.path)).resolve() if url.path else file
    if target.is_dir():
        target /= "index.html"
    has_anchor = url.fragment and target in pages and not url.fragment.startswith("__")
    return target.exists() and not (has_anchor and url.fragment not in pages[target].anchors)


if __name__ == "__main__":
    found = broken(Path(sys.argv[1]))
    print("\n".join([*found, f"{len(found)} broken links"]))
    sys.exit(bool(found))
