"""Recognizes credentials where none may be: in addresses, headers and options."""

import re
from typing import Annotated

from pydantic import AfterValidator

_KNOWN = (
    r"\b(gh[opsur]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|AKIA[0-9A-Z]{16}|eyJ[\w-]+\.eyJ[\w-]+\.|hvs\.[\w-]{20,})"
)
_CREDENTIAL = re.compile(
    "|".join(
        (
            r"://[^/\s?#]*@",  # a user, or user and password, in an address
            r"(pass(word|wd|phrase)|secret|token|(api|access|private|secret)[-_]?key)\s*=\s*[^\s=]",  # an option
            r"\b(bearer|basic)\s+[a-z0-9+/=._~-]{6,}",  # a header
            r"\bx-[a-z-]*(key|token|secret)[\"']?\s*[:= ]\s*[\"']?[^\s\"']",
            r"PRIVATE KEY-----",
            _KNOWN,
        )
    ),
    re.IGNORECASE,
)


def has_credential(text: str) -> bool:
    """Whether ``text`` looks as if it contained a credential."""
    return bool(_CREDENTIAL.search(text))


def check_no_credential(text: str) -> str:
    """``text``, if it contains no credential.

    Raises:
        ValueError: it seems to contain one.
    """
    if has_credential(text):
        raise ValueError("looks as if it holds a credential, which everyone could read in the cluster; leave it out")
    return text


PlainText = Annotated[str, AfterValidator(check_no_credential)]
"""Any text that may be read by everyone."""
