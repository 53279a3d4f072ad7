"""What a message shows of a value: only what cannot be a secret in the wrong place."""

import json
import re
from typing import Any

_LONGEST = 40
# Names, versions, quantities, and templates of names.
_HARMLESS = re.compile(r"[A-Za-z0-9._/{} -]*", re.ASCII)
_WORD = re.compile(r"[A-Za-z0-9_]{12,}")
_KNOWN_CREDENTIAL = re.compile(r"^(gh[opsur]_|github_pat_|glpat-|sk-|xox[a-z]-|AKIA|ASIA|eyJ|hv[sb]\.|dckr_pat_)")


def shown(value: Any) -> str:
    """``value`` in a message; text that could be a secret is only described."""
    if not isinstance(value, str):
        return json.dumps(value) if isinstance(value, int | float) else f"({type(value).__name__})"
    return repr(value) if is_harmless(value) else f"(not shown: text of {len(value)} characters)"


def is_harmless(text: str) -> bool:
    """Whether ``text`` is short, consists of the characters of names, and does not look random."""
    if len(text) > _LONGEST or not _HARMLESS.fullmatch(text) or _KNOWN_CREDENTIAL.match(text):
        return False
    return not any(_looks_random(word) for word in _WORD.findall(text))


def _looks_random(word: str) -> bool:
    """Whether letters and digits alternate more often than in names such as ``postgres17``."""
    return len(re.findall(r"[A-Za-z]+|[0-9]+", word)) > 3
