"""The check of the volumes: whether they are bound, how full they are, and when they will be full."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from components.database.names import INSTANCES
from ops.doctor.check import Result, ok, remark, wrong
from ops.doctor.servers import SERVERS, servers_of
from ops.doctor.stack import Stack
from ops.lib.levels import days_until_full, remember
from ops.lib.workloads import Object, claims_of
from settings.errors import SettingsError

# Usage of a volume in per cent that is worth a remark, and that soon stops its server.
_FILLING, _FULL = 85, 95
# Days until a volume is full that are worth a remark.
_SOON_DAYS = 14
_DATA = {"postgres": "/var/lib/postgresql/data", "minio": "/data"}


@dataclass(frozen=True)
class _Server:
    setting: str
    """Key of the server in the settings."""
    name: str
    """Name for messages."""
    pod: str
    claims: Sequence[str]
    """Names of the claims of its volumes."""
    key: str
    """What its measurements are remembered by."""


def check_volumes(stack: Stack) -> Iterator[Result]:
    """Check that the volumes exist, are bound, and are not full."""
    fine = True
    measured: dict[str, int] = {}
    claims = {claim["metadata"]["name"]: claim for claim in stack.of("PersistentVolumeClaim")}
    servers = list(_servers(stack))
    for server in servers:
        setting, name = server.setting, server.name
        for claimed in server.claims:
            if claimed not in claims:
                fine = False
                yield wrong(
                    f"the volume {claimed} of {name} is missing",
                    f"{stack.up_again}  # recreates it, empty",
                )
            elif claims[claimed]["status"].get("phase") != "Bound":
                fine = False
                yield _unbound(stack, claims[claimed])
        level = _level(stack, server)
        if level is None:
            continue
        measured[server.key] = level
        if level >= _FILLING:
            fine = False
            size = getattr(stack.settings, setting).volume.size
            result = wrong if level >= _FULL else remark
            yield result(
                f"the volume of {name} is {level} % full; flyte-home:{setting}.volume.size is {size}; "
                "a larger one needs a storage class that can grow volumes",
                stack.shown("exec", server.pod, "--", "df", "-h", _DATA[setting]),
            )
    remember(stack.name, measured)
    levels = []
    for server in [one for one in servers if one.key in measured]:
        name, setting, level = server.name, server.setting, measured[server.key]
        days = days_until_full(stack.name, server.key)
        levels.append(f"{name} {level} %" + (f", {_in_days(days)}" if days is not None else ""))
        if days is not None and days <= _SOON_DAYS and level < _FILLING:
            fine = False
            yield remark(
                f"the volume of {name} is {level} % full and, at its present growth, {_in_days(days)}; "
                f"flyte-home:retention deletes what is old, flyte-home:{setting}.volume.size makes room"
            )
    if fine:
        yield ok(f"bound{', used: ' if levels else ''}{', '.join(levels)}")


def _servers(stack: Stack) -> Iterator[_Server]:
    """The servers of the stack that keep data."""
    for setting in filter(_DATA.__contains__, servers_of(stack.settings)):
        kind, name = SERVERS[setting]
        found = [one for one in stack.of(kind) if one["metadata"]["name"] == name]
        claims = [claim for workload in found for claim in claims_of(workload)]
        yield _Server(setting, name, f"{name}-0", claims, setting)
    if stack.settings.postgres.mode == "cloudnative-pg":
        # The operator gives the volume of an instance the name of its pod.
        for pod in stack.of("Pod"):
            if pod["metadata"].get("labels", {}).items() >= INSTANCES.items():
                name = pod["metadata"]["name"]
                yield _Server("postgres", name, name, [name], name)


def _in_days(days: int) -> str:
    return f"full in {days} day{'' if days == 1 else 's'}"


def _unbound(stack: Stack, claim: Object) -> Result:
    name = claim["metadata"]["name"]
    details = "".join(f"; {line}" for line in stack.workloads.warnings(name))
    wanted = claim["spec"].get("storageClassName")
    try:
        listed = json.loads(stack.cluster.ask("get", "storageclasses", "--output=json"))["items"]
    except SettingsError:
        listed = []
    available = [one["metadata"]["name"] for one in listed]
    if wanted not in available:
        which = f"the storage class {wanted!r}" if wanted else "a default storage class"
        details = f"; the cluster does not have {which}; it has {', '.join(available) or 'none'}{details}"
    return wrong(
        f"the volume {name} is {claim['status'].get('phase', 'in no phase')}{details}",
        stack.shown("describe", "persistentvolumeclaim", name),
    )


def _level(stack: Stack, server: _Server) -> int | None:
    """Return the usage of a volume in per cent; None if the image has no df or the pod does not run."""
    answer = stack.cluster.run(
        "exec",
        server.pod,
        f"--namespace={stack.namespace}",
        "--",
        "df",
        "-P",
        _DATA[server.setting],
        seconds=5,
    )
    match = re.search(r"\s(\d+)%\s", answer.stdout)
    return int(match[1]) if answer.returncode == 0 and match else None
