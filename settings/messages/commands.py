"""Pulumi's commands in messages, as a user types them."""

import json
import re
import shlex


def set_command(key: str, value: str | int) -> str:
    """The command that sets ``key``, which may be a part of a structure, to ``value``."""
    path = "--path " if re.search(r"[.\[]", key) else ""
    # Otherwise Pulumi stores such a text as a number, or as true.
    if path and isinstance(value, str) and (value.isdigit() or value in {"true", "false"}):
        path += "--type string "
    text = value if isinstance(value, str) else json.dumps(value)
    return f"pulumi config set {path}{shlex.quote(key)} {shlex.quote(text)}"


def remove_command(key: str) -> str:
    """The command that removes ``key``, which may be a part of a structure."""
    path = "--path " if re.search(r"[.\[]", key) else ""
    return f"pulumi config rm {path}{shlex.quote(key)}"


def typed(name: str) -> str:
    """A part of a path as Pulumi reads it: after a dot, or with a dot of its own in brackets and quotes."""
    return f".{name}" if re.fullmatch(r"[A-Za-z0-9_-]+", name) else f'["{name}"]'
