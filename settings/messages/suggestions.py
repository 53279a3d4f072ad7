"""Finds what a user meant by a name that does not exist."""

import difflib
import re
from collections.abc import Iterable


def closest(name: str, known: Iterable[str]) -> str:
    """The one of the ``known`` names that is most like ``name``, whatever its case and its hyphens; empty: none is."""
    plain = {_plain(one): one for one in known}
    return next((plain[found] for found in difflib.get_close_matches(_plain(name), plain, 1)), "")


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
