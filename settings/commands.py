"""Pulumi's commands in messages, as a user types them."""

import re
import shlex


def set_command(key: str, value: str, as_text: bool = False) -> str:
    """The command that sets ``key``, which may be a part of a structure, to ``value``; ``as_text``: also a number."""
    path = "--path " if re.search(r"[.\[]", key) else ""
    if path and as_text and value.isdigit():
        path += "--type string "
    return f"pulumi config set {path}{shlex.quote(key)} {shlex.quote(value)}"


def remove_command(key: str) -> str:
    """The command that removes ``key``, which may be a part of a structure."""
    path = "--path " if re.search(r"[.\[]", key) else ""
    return f"pulumi config rm {path}{shlex.quote(key)}"


def typed(name: str) -> str:
    """A part of a path as Pulumi reads it: after a dot, or with a dot of its own in brackets and quotes."""
    return f".{name}" if re.fullmatch(r"[A-Za-z0-9_-]+", name) else f'["{name}"]'
