"""The kinds of values that settings have: the base class of all groups, names, and addresses.

Each validator rejects a value with a sentence that continues "flyte-home:key: 'value' ..." and says what to write.
"""

import ipaddress
import re
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Model(BaseModel):
    """A group of settings: immutable, written in camel case, and closed, so that an unknown key is an error.

    The docstring under a field is its description in Pulumi.yaml and docs/settings.md (see ops/lib/pages).
    """

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel)


class PartError(ValueError):
    """A group has one wrong part, or lacks one."""

    def __init__(self, said: str, part: str, example: str | int) -> None:
        self.part, self.example = part, example
        super().__init__(said)


def check_switch(group: Model, switch: str, nothing: str, remove: str, example: str) -> None:
    """Check that a group has no parts without the one that switches it on.

    Args:
        group: the group.
        switch: name of the part without which the others have no effect.
        nothing: what there is without it, such as ``there is no login``.
        remove: command that removes the group.
        example: value for the part.

    Raises:
        PartError: other parts are given, but not this one.
    """
    given = [name for name, field in type(group).model_fields.items() if getattr(group, name) != field.default]
    if given and not getattr(group, switch):
        keys = ", ".join(map(to_camel, given))
        raise PartError(
            f"has {keys}, but no {switch}, so that {nothing} and {keys} has no effect; write {remove}, or the {switch}",
            switch,
            example,
        )


# --- names --------------------------------------------------------------------------------------------------------


def check_label(value: str) -> str:
    """``value``, if it is a valid name for a namespace.

    https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-label-names

    Raises:
        ValueError: it is not.
    """
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", value):
        raise ValueError("is not a name Kubernetes accepts; write 1 to 63 lower-case letters, digits and inner hyphens")
    return value


def _is_subdomain(value: str) -> bool:
    label = "[a-z0-9]([a-z0-9-]*[a-z0-9])?"
    return len(value) <= 253 and bool(re.fullmatch(rf"{label}(\.{label})*", value))


def optional_label(value: str) -> str:
    """``value``, if it is empty or a valid name for a namespace.

    Raises:
        ValueError: it is neither.
    """
    return value and check_label(value)


def _object_name(value: str) -> str:
    if value and not _is_subdomain(value):
        raise ValueError(
            "does not have the form of a name in Kubernetes; write lower-case letters, digits, '-' and '.'"
        )
    return value


def _secret_name(value: str) -> str:
    if not _is_subdomain(value):
        raise ValueError("is not a name Kubernetes accepts; write lower-case letters, digits, '-' and '.'")
    return value


def _secret_key(value: str) -> str:
    # Flyte lower-cases the file name, so a task could ask for an upper-case key but would never find it.
    if len(value) > 253 or not re.fullmatch(r"[a-z0-9_-][a-z0-9._-]*", value):
        raise ValueError("is not a key a task can ask for; write lower-case letters, digits, '-', '_' and '.'")
    return value


def _setting_name(value: str) -> str:
    if not re.fullmatch(r"[a-z][A-Za-z0-9]*", value):
        raise ValueError("is not a name for a setting; write it in camel case, such as spotifyCreds")
    return value


def _host(value: str) -> str:
    label = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
    if value and (len(value) > 253 or not re.fullmatch(rf"{label}(\.{label})*", value)):
        raise ValueError("is not a host name; write it like flyte.home.example, without https:// and without a port")
    if value and value.rpartition(".")[2].isdigit():
        raise ValueError("is an address; an Ingress needs a host name, such as flyte.home.example")
    return value


def _sha256(value: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", value):
        raise ValueError("is not a SHA-256; write the 64 hexadecimal digits that sha256sum prints")
    return value


Label = Annotated[str, AfterValidator(check_label)]
"""Name of a namespace, a Flyte project or a Flyte domain."""
OptionalLabel = Annotated[str, AfterValidator(optional_label)]
"""Name of a namespace; may be empty."""
ObjectName = Annotated[str, AfterValidator(_object_name)]
"""Name of any Kubernetes object other than a namespace; may be empty."""
SecretName = Annotated[str, AfterValidator(_secret_name)]
"""Name of a Kubernetes Secret, which is a secret group in Flyte, or of another object."""
SecretKey = Annotated[str, AfterValidator(_secret_key)]
"""Key of a secret group."""
SettingName = Annotated[str, AfterValidator(_setting_name)]
"""Name of a secret setting."""
Host = Annotated[str, AfterValidator(_host)]
"""Host name in DNS; may be empty."""
Sha256 = Annotated[str, AfterValidator(_sha256)]
"""SHA-256 in hexadecimal digits."""


# --- addresses ----------------------------------------------------------------------------------------------------


def split_address(address: str) -> SplitResult:
    """The parts of an HTTP address, or of a gRPC address such as ``dns:///127.0.0.1:8089``."""
    return urlsplit(address.replace("dns:///", "dns://"))


def has_server(address: str) -> bool:
    """Whether the address has a host but no user, and a valid port if it has one."""
    try:
        parts = split_address(address)
        host = parts.hostname or ""
        if parts.username or parts.password:
            return False
        if re.fullmatch(r"[0-9.]+", host) or ":" in host:
            ipaddress.ip_address(host)
            return parts.port != 0
        label = "[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
        return parts.port != 0 and len(host) <= 253 and bool(re.fullmatch(rf"{label}(\.{label})*", host))
    except ValueError:
        return False


def _url(value: str) -> str:
    # A user or a password is rejected too: these addresses are printed.
    if not re.fullmatch(r"https?://[A-Za-z0-9.\[\]:_-]+/?", value) or not has_server(value):
        raise ValueError("is not the address of a server; write it like http://127.0.0.1:9000, without user or path")
    return value.rstrip("/")


def _grpc(value: str) -> str:
    if not re.fullmatch(r"dns:///[A-Za-z0-9.-]+:\d+", value) or not has_server(value):
        raise ValueError("is not the address of a gRPC server; write it like dns:///127.0.0.1:8089")
    return value


def _repository(value: str) -> str:
    if not re.fullmatch(r"https?://[A-Za-z0-9.:_/-]+", value) or not has_server(value):
        raise ValueError("is not the address of a Helm repository; write it like https://flyteorg.github.io/flyte")
    return value


Url = Annotated[str, AfterValidator(_url)]
"""HTTP address of a server, without user, password and path."""
GrpcAddress = Annotated[str, AfterValidator(_grpc)]
"""gRPC address as Flyte's clients write it."""
RepositoryUrl = Annotated[str, AfterValidator(_repository)]
"""Address of a Helm repository."""
