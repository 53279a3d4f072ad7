"""The checks of a database in a cluster of the operator CloudNativePG."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from components.database.names import CLUSTER
from ops.doctor.check import Result, ok, remark, wrong
from ops.doctor.stack import Stack
from ops.lib.database_client import deployed_client
from ops.lib.operator_check import operator_trouble
from ops.lib.text import one_line
from ops.lib.workloads import Object
from settings.errors import SettingsError

KIND = "clusters.postgresql.cnpg.io"
"""Kind of the cluster, as kubectl accepts it."""
# Bytes of the log that a standby may lack before it is worth a remark: one file of the log.
_BEHIND = 16 * 1024 * 1024
_STANDBYS = """
SELECT application_name, coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn), 0)::bigint, sync_state
FROM pg_stat_replication WHERE usename = 'streaming_replica' AND state = 'streaming' ORDER BY 1
"""


@dataclass(frozen=True)
class _Standby:
    name: str
    behind: int
    """Bytes of the log that it has not applied yet."""
    confirms: bool
    """Whether commits wait for it."""


def check_cluster(stack: Stack) -> Iterator[Result]:
    """Check that the operator runs, and that every instance of the cluster is ready."""
    if trouble := operator_trouble(stack.cluster, stack.settings):
        yield wrong(f"{trouble}. Until it runs, no standby takes over, and no new password is applied")
    found = _cluster(stack)
    if not found:
        yield wrong(f"cluster/{CLUSTER} is not in the namespace {stack.namespace}", stack.up_again)
        return
    status, wanted = found.get("status", {}), found["spec"]["instances"]
    ready, phase = status.get("readyInstances", 0), status.get("phase", "in no phase yet")
    if ready >= wanted:
        yield ok(f"{ready} of {wanted} instances are ready; the primary is {status.get('currentPrimary')}; {phase}")
        return
    reasons = [one.trouble.says for one in stack.workloads.waiting() if one.pod.startswith(f"{CLUSTER}-")]
    why = "; ".join(filter(None, [phase, status.get("phaseReason", ""), *reasons]))
    yield wrong(
        f"{ready} of {wanted} instances are ready: {one_line(why, 400)}", stack.shown("describe", KIND, CLUSTER)
    )


def check_cluster_database(stack: Stack) -> Iterator[Result]:
    """Check that the primary lets Flyte's role in, and that the standbys have the data."""
    try:
        with deployed_client(stack.cluster, stack.settings) as client:
            version = client.sql("SELECT current_setting('server_version')")
    except SettingsError as error:
        yield wrong(
            f"the login of Flyte's role fails: {one_line(str(error), 300)}", stack.shown("describe", KIND, CLUSTER)
        )
        return
    yield ok(f"PostgreSQL {version} lets Flyte's role in, and shows the certificate that Flyte expects")
    wanted = stack.settings.postgres.cloudnative_pg
    if wanted.synchronous:
        yield from _standbys(stack, required=wanted.durability == "required")


def _standbys(stack: Stack, required: bool) -> Iterator[Result]:
    primary = (_cluster(stack) or {}).get("status", {}).get("currentPrimary", "")
    command = ["exec", primary, "--container=postgres", "--", "psql", "-XqAt", "--command", _STANDBYS]
    answer = stack.cluster.run(command[0], f"--namespace={stack.namespace}", *command[1:])
    if answer.returncode:
        yield remark(f"what the standbys lack is unknown: {one_line(answer.stderr)}")
        return
    rows = [line.split("|") for line in answer.stdout.splitlines()]
    found = [_Standby(name, int(behind), state in {"sync", "quorum"}) for name, behind, state in rows]
    if not any(one.confirms for one in found):
        effect = (
            "so that every commit waits for one" if required else "so that the newest commits are in one place only"
        )
        yield (wrong if required else remark)(f"no standby confirms commits, {effect}", stack.shown("get", "pods"))
        return
    late = [one for one in found if one.behind > _BEHIND]
    for one in late:
        yield remark(
            f"the standby {one.name} lacks {one.behind >> 20} MiB of the log", stack.shown("top", "pod", one.name)
        )
    if not late:
        yield ok(f"{', '.join(one.name for one in found)} have the data")


def _cluster(stack: Stack) -> Object | None:
    where = [f"--namespace={stack.namespace}", "--ignore-not-found", "--output=json"]
    answer = stack.cluster.run("get", KIND, CLUSTER, *where)
    return json.loads(answer.stdout) if answer.returncode == 0 and answer.stdout.strip() else None
