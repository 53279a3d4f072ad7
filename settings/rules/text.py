"""Rules for any text of a stack file."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from settings.messages.commands import remove_command, typed
from settings.messages.shown import is_harmless
from settings.stack import PROJECT

# YAML, Kubernetes and Postgres accept no others: https://yaml.org/spec/1.2.2/#51-character-set
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_FREE = f"{PROJECT}:flyteValues"


def text_problems(key: str, value: Any) -> Iterator[str]:
    """Control characters and repeated texts at any depth of the setting ``key``, also in the names of its parts."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from text_problems(f"{key}{typed(name) if is_harmless(name) else '.(key not shown)'}", item)
            yield from text_problems(key, name)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            # The arguments of a program may be repeated.
            if isinstance(item, str) and item in value[:index] and not key.startswith(_FREE):
                yield f"{key}[{index}]: is there twice; keep one: {remove_command(f'{key}[{index}]')}"
            yield from text_problems(f"{key}[{index}]", item)
    elif isinstance(value, str) and (found := _CONTROL.search(value)):
        yield (
            f"{key}: has the control character U+{ord(found[0]):04X}, which Kubernetes and Postgres cannot store; "
            "remove it, for example by typing the value again"
        )
