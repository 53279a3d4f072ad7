"""Amounts of CPU, memory and storage."""

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator
from pydantic.fields import FieldInfo

from settings.values import Model, ObjectName, PartError

_BINARY = {"": 0, "Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL = {"m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_MOST_CORES = 10_000
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)([A-Za-z]*)", re.ASCII)


def quantity(value: str, example: str = "500m or 2Gi") -> Decimal:
    """The number that a Kubernetes quantity stands for, in bytes or cores.

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
    cores = quantity(value, "500m or 2")
    if cores < Decimal("0.001") or cores * 1000 % 1:
        raise ValueError("is not a number of thousandths of a core; write it like 500m or 2")
    if cores > _MOST_CORES:
        raise ValueError(f"is more than {_MOST_CORES} cores, which no cluster has; write it like 500m or 2")
    return value


def _memory(value: str) -> str:
    size = quantity(value, "512Mi or 2Gi")
    if size < 16 * 1024**2:
        raise ValueError("is less than 16Mi, which is too little for anything here; write it like 512Mi or 2Gi")
    if size > 1024**5 or size % 1:
        raise ValueError("is more than 1Pi, or not a whole number of bytes; write it like 512Mi or 2Gi")
    return value


def _storage(value: str) -> str:
    size = quantity(value, "10Gi")
    if not 100 * 1024**2 <= size <= 1024**5 or size % 1:
        raise ValueError("is not between 100Mi and 1Pi; write it like 10Gi")
    return value


def _storage_limit(value: str) -> str:
    return value and _storage(value)


def _cores(value: Any) -> Any:
    """``value`` as text: ``cpu: 2`` is a number in YAML, and Kubernetes accepts it as well."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Cpu = Annotated[str, BeforeValidator(_cores), AfterValidator(_cpu)]
"""CPU in cores, as a Kubernetes quantity such as ``500m``."""
Memory = Annotated[str, AfterValidator(_memory)]
"""Memory in bytes, as a Kubernetes quantity such as ``512Mi``."""
Storage = Annotated[str, AfterValidator(_storage)]
"""Size of a volume in bytes, as a Kubernetes quantity such as ``10Gi``."""
StorageLimit = Annotated[str, AfterValidator(_storage_limit)]
"""The most that something may hold in bytes, as a Kubernetes quantity such as ``10Gi``; empty: no limit."""


def is_quantity(field: FieldInfo) -> bool:
    """Whether the value of ``field`` is an amount of CPU, memory or storage."""
    return any(getattr(rule, "func", None) in {_cpu, _memory, _storage, _storage_limit} for rule in field.metadata)


class Amount(Model):
    """CPU in cores and memory in bytes, as Kubernetes quantities."""

    cpu: Cpu
    memory: Memory

    @property
    def by_name(self) -> dict[str, str]:
        """The quantities by their Kubernetes resource names."""
        return {"cpu": self.cpu, "memory": self.memory}


class Resources(Model):
    """What a container is guaranteed (requests) and what it may not exceed (limits)."""

    requests: Amount
    limits: Amount

    def model_post_init(self, _context: Any) -> None:
        check_order(requests=self.requests, limits=self.limits)


def default_resources(cpu: str, memory: str, max_cpu: str, max_memory: str) -> Resources:
    """Resources of a container: requests first, then limits."""
    return Resources(requests=Amount(cpu=cpu, memory=memory), limits=Amount(cpu=max_cpu, memory=max_memory))


class Volume(Model):
    """A volume that one node mounts."""

    size: Storage
    """Size. A larger size grows the volume if its storage class allows that."""
    storage_class: ObjectName = ""
    """Storage class; empty: the cluster's default."""


def check_order(**amounts: Amount) -> None:
    """Reject amounts that are not in ascending order.

    Raises:
        PartError: naming the first amount that is more than the next one.
    """
    for (low, less), (high, more) in zip(list(amounts.items())[:-1], list(amounts.items())[1:], strict=True):
        for name, value in less.by_name.items():
            if quantity(value) > quantity(more.by_name[name]):
                raise PartError(
                    f"has {low}.{name} {value}, which is more than {high}.{name} {more.by_name[name]}; "
                    f"lower {low}.{name}, or raise {high}.{name}",
                    f"{high}.{name}",
                    value,
                )
