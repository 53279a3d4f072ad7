"""Labels and annotations of Kubernetes objects, as settings."""

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator

from settings.credentials import has_credential
from settings.messages.shown import is_harmless

_NAME = "[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_PREFIX = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*"
LARGEST = 200 * 1024
"""Bytes of all annotations. Kubernetes allows 256 KiB, and Pulumi and Kubernetes add their own."""


def is_key(text: str) -> bool:
    """Whether ``text`` can be the key of a label or an annotation."""
    prefix = text.rpartition("/")[0]
    return len(prefix) <= 253 and bool(re.fullmatch(rf"({_PREFIX}/)?{_NAME}", text))


def is_label_value(text: str) -> bool:
    """Whether ``text`` can be the value of a label."""
    return not text or bool(re.fullmatch(_NAME, text))


def size(annotations: Mapping[str, str]) -> int:
    """Bytes of all keys and values."""
    return sum(len(key.encode()) + len(str(text).encode()) for key, text in annotations.items())


def _label_key(value: str) -> str:
    if not is_key(value):
        raise ValueError("is not the key of a label; write it like kubernetes.io/arch")
    return value


def _label_value(value: str) -> str:
    if not is_label_value(value) or has_credential(value):
        raise ValueError("is not the value of a label; write it like arm64, and quote a number or true")
    return value


def _annotations(value: dict[str, str]) -> dict[str, str]:
    for key, text in value.items():
        named = key if is_harmless(key) else "one (not shown)"
        if not is_key(key) or has_credential(key):
            raise ValueError(f"has a key that is none of an annotation: {named}; write it like example.com/name")
        if has_credential(text):
            raise ValueError(
                f"looks as if {named} held a credential, which everyone could read in the cluster; refer to a Secret"
            )
    if size(value) > LARGEST:
        raise ValueError("is larger than 200 KiB; Kubernetes allows 256 KiB for all annotations of an object")
    return value


LabelKey = Annotated[str, AfterValidator(_label_key)]
"""Key of a label of a Kubernetes object."""
LabelValue = Annotated[str, AfterValidator(_label_value)]
"""Value of a label of a Kubernetes object."""
Annotations = Annotated[dict[str, str], AfterValidator(_annotations)]
"""Annotations of a Kubernetes object."""
