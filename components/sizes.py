"""Amounts of CPU, memory and storage, and names, checked when they are made."""

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

_BINARY = {"": 0, "Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL = {"m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)([A-Za-z]*)", re.ASCII)


class Model(BaseModel):
    """Immutable, in Pulumi's camel case outside, and closed: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel)


def quantity(value: str, example: str = "500m or 2Gi") -> Decimal:
    """The number that a Kubernetes quantity means, in bytes or cores.

    https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/

    Raises:
        ValueError: it is not a quantity; the message shows ``example``.
    """
    match = _QUANTITY.fullmatch(value)
    if not match or match[2] not in _BINARY | _DECIMAL:
        raise ValueError(f"is not a Kubernetes quantity; write it like {example}")
    if match[2] in _BINARY:
        return Decimal(match[1]) * Decimal(1024 ** _BINARY[match[2]])
    return Decimal(match[1]).scaleb(_DECIMAL[match[2]])


def _cpu(value: str) -> str:
    if quantity(value, "500m or 2") < Decimal("0.001"):
        raise ValueError("must be at least a thousandth of a core; write it like 500m or 2")
    return value


def _memory(value: str) -> str:
    if quantity(value, "512Mi or 2Gi") < 16 * 1024**2:
        raise ValueError("is less than 16Mi, in which nothing here can run; write it like 512Mi or 2Gi")
    return value


def _storage(value: str) -> str:
    if not 100 * 1024**2 <= quantity(value, "10Gi") <= 1024**5:
        raise ValueError("is not between 100Mi and 1Pi, which a volume of this stack may have; write it like 10Gi")
    return value


def _cores(value: Any) -> Any:
    """YAML's ``cpu: 2`` is a number, and Kubernetes takes it as well."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def check_label(value: str) -> str:
    """``value``, if it can be the name of a namespace.

    Raises:
        ValueError: it cannot.
    """
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", value):
        raise ValueError("is not a name Kubernetes accepts; write 1 to 63 lower-case letters, digits and inner hyphens")
    return value


# Of a Kubernetes object that is no namespace, or nothing.
OBJECT_NAME = r"^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?)?$"
Label = Annotated[str, AfterValidator(check_label)]
Cpu = Annotated[str, BeforeValidator(_cores), AfterValidator(_cpu)]
Memory = Annotated[str, AfterValidator(_memory)]
Storage = Annotated[str, AfterValidator(_storage)]


class Amount(Model):
    """CPU in cores and memory in bytes, as Kubernetes quantities."""

    cpu: Cpu
    memory: Memory

    @property
    def by_name(self) -> dict[str, str]:
        """The quantities by the resource names of Kubernetes."""
        return {"cpu": self.cpu, "memory": self.memory}


class Resources(Model):
    """What a container is promised (requests) and what it may not exceed (limits)."""

    requests: Amount
    limits: Amount

    def model_post_init(self, _context: Any) -> None:
        check_order(requests=self.requests, limits=self.limits)


class Volume(Model):
    """A volume that one node mounts."""

    size: Storage = Field(description="Size. A larger one grows the volume where its storage class allows that.")
    storage_class: str = Field(
        default="",
        pattern=OBJECT_NAME,
        description="Storage class; empty: the cluster's default.",
    )


def check_order(**amounts: Amount) -> None:
    """Refuse amounts that are not in ascending order.

    Raises:
        ValueError: naming the first amount that is more than the one after it.
    """
    for (low, less), (high, more) in zip(list(amounts.items())[:-1], list(amounts.items())[1:], strict=True):
        for name, value in less.by_name.items():
            if quantity(value) > quantity(more.by_name[name]):
                raise ValueError(
                    f"has {low}.{name} {value}, which is more than {high}.{name} {more.by_name[name]}; "
                    f"raise {high}.{name} or lower {low}.{name}"
                )
