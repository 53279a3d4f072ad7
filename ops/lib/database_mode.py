"""What ``make up`` checks about the database before it changes anything.

No switch of its mode may lose rows, and a server that the stack does not run must have what Flyte needs.
"""

from collections.abc import Mapping
from typing import Any

from components.database.names import CLUSTER
from ops.lib.database import Database
from ops.lib.database_client import DatabaseClient, chosen_logins, chosen_password, database_client
from ops.lib.kubectl import Cluster
from ops.lib.state import State
from settings import PROJECT, Settings
from settings.errors import SettingsError

COMPONENTS = {
    "bundled": f"{PROJECT}:index:Postgres",
    "cloudnative-pg": f"{PROJECT}:index:CloudNativePostgres",
    "external": f"{PROJECT}:index:ExternalPostgres",
}
"""Type of the component that provides the database, by mode."""
_KEY = f"{PROJECT}:postgres.mode"
_RELEASE = "kubernetes:helm.sh/v3:Release"
# Beginning of the names of what holds the rows, in the modes in which the stack runs the servers.
_HOLDERS = {"bundled": "postgres-data", "cloudnative-pg": CLUSTER}
_TABLES = ("executions", "workflows", "tasks", "launch_plans")


def deployed_mode(state: State) -> str:
    """Return the mode of the database that Flyte uses; empty if none was deployed.

    After an update or a move that was interrupted, there can be components of two modes. Flyte's release says which one
    counts.
    """
    found = [mode for mode, component in COMPONENTS.items() if state.has(component)]
    if len(found) > 1 and (host := _host(state)):
        found = [mode for mode in found if state.outputs(COMPONENTS[mode]).get("host") == host] or found
    return next(iter(found), "")


def _host(state: State) -> str:
    """Return the host of the database in the values of Flyte's release; empty before there is one."""
    resources: list[Mapping[str, Any]] = state.deployment.get("resources") or []
    releases = [one for one in resources if one["type"] == _RELEASE]
    values: Mapping[str, Any] = releases[0].get("inputs", {}).get("values", {}) if releases else {}
    return str(values.get("configuration", {}).get("database", {}).get("host", ""))


def content(database: Database) -> str:
    """Return what the bundled database has, for a message; empty if it has nothing that could be lost."""
    try:
        counts = database.counts()
    except SettingsError:
        return "a database that cannot be read"
    return _described({name: counts.get(f"public.{name}", 0) for name in _TABLES})


def external_content(client: DatabaseClient) -> str:
    """Return what a database has that the stack does not run, for a message; empty if nothing could be lost.

    Raises:
        SettingsError: the server does not answer.
    """
    there = client.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").splitlines()
    tables = [name for name in _TABLES if name in there]
    if not tables:
        return ""
    counts = client.sql(";".join(f"SELECT count(*) FROM public.{name}" for name in tables)).splitlines()  # noqa: S608
    return _described(dict(zip(tables, map(int, counts), strict=True)))


def _described(counts: Mapping[str, int]) -> str:
    """Return the rows of Flyte's main tables in words; empty if there are none."""
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items() if count)


def check_database(
    environment: Mapping[str, str],
    state: State,
    cluster: Cluster,
    settings: Settings,
    stack: str,
    moved: bool,
    moving: bool = False,
) -> None:
    """Check the database that the settings choose.

    Args:
        environment: environment of Pulumi.
        state: state of the stack.
        cluster: cluster of the stack.
        settings: settings of the stack.
        stack: name of the stack.
        moved: whether the user says that the rows are in the database that the settings choose.
        moving: whether they are about to be moved there.

    Raises:
        SettingsError: an update would lose rows, or Flyte would not find its database. Nothing was changed.
    """
    if not moving:
        _check_mode(state, cluster, settings, stack, moved)
    if settings.postgres.mode == "external":
        try:
            password = chosen_password(environment, stack, cluster, settings)
            logins = chosen_logins(environment, stack, settings)
            with database_client(cluster, settings, password, logins=logins) as client:
                version = client.check()
        except SettingsError as error:
            raise SettingsError(f"{error}. Nothing was changed") from None
        print(f"The database at {settings.postgres.external.host} has what Flyte needs: {version}", flush=True)


def _check_mode(state: State, cluster: Cluster, settings: Settings, stack: str, moved: bool) -> None:
    before, now = deployed_mode(state), settings.postgres.mode
    if before in {"", now}:
        return
    found = "its rows"
    if before == "bundled":
        found = content(Database(cluster, settings.namespace))
        if not found:
            return
    back = f"pulumi config set --stack {stack} --path {_KEY} {before}"
    if not moved:
        raise SettingsError(
            f"{_KEY}: is {now!r}, but Flyte has {found} in the database of the mode {before!r}, and would not see them "
            f"any more. Nothing was changed. Move it: make move-database STACK={stack}; or go back: {back}. If you "
            f"have moved it yourself, as docs/outgrowing.md says: make up STACK={stack} DATABASE_MOVED=yes"
        )
    if before in _HOLDERS and not state.safe("retainOnDelete", _HOLDERS[before]):
        what = "volume" if before == "bundled" else "cluster"
        raise SettingsError(
            f"{_KEY}: is {now!r}, and the {what} of the mode {before!r}, with {found}, would be deleted. Nothing was "
            f"changed. Keep it: {back}, pulumi config set --stack {stack} {PROJECT}:keepVolumes true, and make up "
            f"STACK={stack}. Then switch again"
        )
