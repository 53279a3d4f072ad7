"""Rules for any text of a stack file."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from settings.commands import typed
from settings.shown import is_harmless

# YAML, Kubernetes and Postgres accept no others: https://yaml.org/spec/1.2.2/#51-character-set
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")


def control_problems(key: str, value: Any) -> Iterator[str]:
    """Control characters at any depth of the setting ``key``, also in the names of its parts."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from control_problems(f"{key}{typed(name) if is_harmless(name) else '.(key not shown)'}", item)
            yield from control_problems(key, name)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from control_problems(f"{key}[{index}]", item)
    elif isinstance(value, str) and (found := _CONTROL.search(value)):
        yield (
            f"{key}: has the control character U+{ord(found[0]):04X}, which Kubernetes and Postgres cannot store; "
            "remove it, for example by typing the value again"
        )
