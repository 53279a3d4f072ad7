"""``make docs``: generates parts of the documentation from the program, so that they are never out of date.

Usage: python -m ops.docs

docs/settings.md and docs/architecture.md are generated as a whole, docs/versions.md between markers such as
``<!-- versions:begin -->``.
"""

import argparse
import sys

from ops.lib.pages import versions_page
from ops.lib.pages.architecture_page import architecture_page
from ops.lib.pages.settings_page import settings_page
from paths import ROOT


def main() -> int:
    """Run the command line: write the pages, and print the names of the changed ones; return 0."""
    argparse.ArgumentParser(prog="docs", description=__doc__.splitlines()[0] if __doc__ else None).parse_args()
    for page, text in pages().items():
        file = ROOT / page
        if not file.exists() or file.read_text() != text:
            file.write_text(text)
            print(f"{page} written")
    return 0


def pages() -> dict[str, str]:
    """Return the content of every file that is generated or has a generated part, by path."""
    page = versions_page.PAGE
    versions = replaced(page, (ROOT / page).read_text(), "versions", versions_page.versions_table())
    return {
        "docs/settings.md": settings_page(),
        "docs/architecture.md": architecture_page(),
        page: versions,
    }


def replaced(page: str, text: str, name: str, content: str) -> str:
    """Return the ``text`` of a page with ``content`` between the markers of ``name``.

    Raises:
        ValueError: a marker is missing or occurs more than once.
    """
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise ValueError(f"{page}: needs {begin} and, after it, {end}, each exactly once")
    return text[: text.index(begin)] + f"{begin}\n{content}\n{end}" + text[text.index(end) + len(end) :]


if __name__ == "__main__":
    sys.exit(main())
