"""What ``make up`` checks about the database before it changes anything.

No switch of its mode may lose rows, and a server that the stack does not run must have what Flyte needs.
"""

from collections.abc import Mapping

from components.database.names import CLUSTER
from ops.lib.database import Database
from ops.lib.database_client import DatabaseClient, chosen_logins, chosen_password, database_client
from ops.lib.kubectl import Cluster
from ops.lib.state import State
from settings import PROJECT, Settings
from settings.errors import SettingsError

HOW_TO_MOVE = "move it as docs/outgrowing.md, 'Moving the database', says"
"""What brings the rows of one mode into another; the only place that says so."""
_KEY = f"{PROJECT}:postgres.mode"
_MODES = {
    f"{PROJECT}:index:Postgres": "bundled",
    f"{PROJECT}:index:CloudNativePostgres": "cloudnative-pg",
    f"{PROJECT}:index:ExternalPostgres": "external",
}
# Beginning of the names of what holds the rows, in the modes in which the stack runs the servers.
_HOLDERS = {"bundled": "postgres-data", "cloudnative-pg": CLUSTER}
_TABLES = ("executions", "workflows", "tasks", "launch_plans")


def deployed_mode(state: State) -> str:
    """Return the mode of the database at the last update; empty if none was deployed."""
    return next((mode for kind, mode in _MODES.items() if state.has(kind)), "")


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
    environment: Mapping[str, str], state: State, cluster: Cluster, settings: Settings, stack: str, moved: bool
) -> None:
    """Check the database that the settings choose.

    Args:
        environment: environment of Pulumi.
        state: state of the stack.
        cluster: cluster of the stack.
        settings: settings of the stack.
        stack: name of the stack.
        moved: whether the user says that the rows are in the database that the settings choose.

    Raises:
        SettingsError: an update would lose rows, or Flyte would not find its database. Nothing was changed.
    """
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
            f"any more. Nothing was changed. Go back: {back}; or {HOW_TO_MOVE}, and then run make up STACK={stack} "
            "DATABASE_MOVED=yes"
        )
    if before in _HOLDERS and not state.safe("retainOnDelete", _HOLDERS[before]):
        what = "volume" if before == "bundled" else "cluster"
        raise SettingsError(
            f"{_KEY}: is {now!r}, and the {what} of the mode {before!r}, with {found}, would be deleted. Nothing was "
            f"changed. Keep it: {back}, pulumi config set --stack {stack} {PROJECT}:keepVolumes true, and make up "
            f"STACK={stack}. Then switch again"
        )
