"""Checks the links of the built documentation: ``python tools/links.py HTML``.

HTML is the folder that `sphinx-build -b html` wrote. Files and anchors that pages link to must be there. Addresses on
the web are not called; they must be complete, with https. Prints what is wrong, and then exits with 1.
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """Links and anchors of a page."""

    def __init__(self, file):
        super().__init__()
        self.links, self.anchors = set(), set()
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.anchors.update(found[key] for key in ("id", "name") if found.get(key))
        self.links.update(found[key] for key in ("href", "src") if found.get(key))


def wrong_with(link, file, pages):
    """Say what is wrong with a link of a file; None if it is right."""
    parts = urlsplit(link)
    if parts.scheme in ("data", "mailto", "javascript"):
        return None
    if parts.scheme or parts.netloc:
        return None if parts.scheme == "https" and "." in parts.netloc and " " not in link else "not a complete address"
    target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
    if not target.is_file():
        return "no such file"
    anchor = unquote(parts.fragment)
    if anchor and target in pages and anchor not in pages[target].anchors:
        return "no such anchor"
    return None


def main(folder):
    files = sorted(Path(folder).resolve().rglob("*.html"))
    pages = {file: Page(file) for file in files if "_static" not in file.parts}
    links = [(file, link) for file, page in pages.items() for link in sorted(page.links)]
    wrong = [(file, link, found) for file, link in links if (found := wrong_with(link, file, pages))]
    for file, link, found in wrong:
        print(f"{file.relative_to(Path(folder).resolve())}: {link}: {found}")
    print(f"{len(pages)} pages, {len(links)} links, {len(wrong)} wrong")
    return int(bool(wrong) or not links)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
