"""The move of the database: from and to any mode."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from components.database import AUTHORITY, PASSWORD
from ops.lib.database_client import chosen_password
from ops.lib.database_mode import COMPONENTS
from ops.lib.kubectl import documents
from ops.lib.move.flyte_config import DatabaseLogin
from ops.lib.move.job import Step, run_job
from ops.lib.move.part import PartOfStack
from ops.lib.move.record import Part
from ops.lib.move.task_pods import task_pods
from ops.lib.state import State
from ops.lib.volumes import Stack, deploy_component
from paths import ROOT
from settings import PROJECT
from settings.errors import SettingsError

_SCRIPTS = ROOT / "scripts"


@dataclass(frozen=True)
class DatabaseMove(PartOfStack):
    """A move of the database, see `ops.lib.move.moving.Moving`.

    It reads the contract `components.database.Database` from the state, where the component of a mode registers it. So
    it does not depend on which modes there are.
    """

    part: ClassVar[Part] = "database"
    setting: ClassVar[str] = f"{PROJECT}:postgres.mode"
    components: ClassVar[frozenset[str]] = frozenset(COMPONENTS.values())

    @property
    def before(self) -> str:
        """What Flyte uses, for messages."""
        return f"the database {self.flyte.database}"

    @property
    def after(self) -> str:
        """What the settings choose, for messages."""
        mode, external = self.stack.settings.postgres.mode, self.stack.settings.postgres.external
        where = f"{external.database} at {external.host}" if mode == "external" else f"of the mode {mode!r}"
        return f"the database {where}"

    @property
    def used(self) -> str:
        """Type of the component that provides what Flyte uses."""
        deployed = [one for one in COMPONENTS.values() if self.state.has(one)]
        host = self.flyte.database.host
        return next((one for one in deployed if self.state.outputs(one).get("host") == host), deployed[0])

    @property
    def wanted(self) -> str:
        """Type of the component that provides what the settings choose."""
        return COMPONENTS[self.stack.settings.postgres.mode]

    @property
    def in_use(self) -> bool:
        """Whether Flyte already uses what the settings choose."""
        external = self.stack.settings.postgres.external
        if self.stack.settings.postgres.mode == "external":
            return self.flyte.database.place == (external.host, external.port, external.database)
        return self.used == self.wanted

    def check(self) -> None:
        """Deploy the new server if it belongs to the stack, and compare what the two servers are, and what they have.

        Raises:
            SettingsError: the new one cannot take the rows. Flyte was not touched.
        """
        if self.stack.settings.postgres.mode != "external" and deploy_component(self.stack, self.wanted):
            raise SettingsError("the new server could not be deployed; the reason is in the messages above")
        self._run("check")

    def await_writers(self, say: Callable[[str], None]) -> None:
        """Say what goes on: tasks do not write to the database."""
        if running := task_pods(self.stack):
            say(f"{len(running)} pods of tasks go on; Flyte reads their results when it runs again")

    def copy(self) -> None:
        """Copy all rows in one transaction, compare them, and mark the old ones as left behind.

        Raises:
            SettingsError: it fails, or something differs. The new database is as it was, or has a complete copy.
        """
        self._run("copy")

    def settle(self) -> None:
        """Remove the mark from what Flyte uses now.

        Raises:
            SettingsError: the server does not answer.
        """
        self._run("settle")

    def _run(self, action: str) -> dict[str, Any]:
        here, there = self.flyte.database, self._login()
        environment = {
            "ACTION": action,
            "MARK": _mark(self.stack),
            **_variables("FROM", here),
            **_variables("TO", there),
        }
        credentials = _files("from", here) | _files("to", there)
        step = Step(action, "postgres", _SCRIPTS / "move" / "database.sh", environment)
        files = [_SCRIPTS / "backup" / "references.sql"]
        return run_job(self.stack, self.flyte.pull_secrets, [step], credentials, files)

    def _login(self) -> DatabaseLogin:
        """Return how to reach the database that the settings choose; its server is deployed by now."""
        settings, cluster = self.stack.settings, self.stack.cluster
        if settings.postgres.mode == "external":
            external = settings.postgres.external
            password = chosen_password(self.stack.environment, self.stack.name, cluster, settings)
            return DatabaseLogin(
                external.host,
                external.port,
                external.database,
                external.username,
                external.tls.mode,
                password,
                external.tls.certificate_authority,
            )
        contract = State.of(self.stack.environment, self.stack.name).outputs(self.wanted)
        authority = contract.get("authority")
        return DatabaseLogin(
            str(contract["host"]),
            int(contract["port"]),
            str(contract["database"]),
            str(contract["username"]),
            str(contract["tls"]),
            self._secret(str(contract["credentials"]), PASSWORD),
            self._secret(str(authority), AUTHORITY) if authority else "",
        )

    def _secret(self, name: str, key: str) -> str:
        where = f"--namespace={self.stack.settings.namespace}"
        (found,) = documents(self.stack.cluster.ask("get", "secret", name, where, "--output=json"))
        return base64.b64decode(found["data"][key]).decode()


def _mark(stack: Stack) -> str:
    """Text by which rows are recognized that this stack has left behind, or not copied to their end."""
    return f"flyte-home: not used any more by the stack {stack.name} of the cluster {stack.settings.cluster_uid}"


def _variables(side: str, login: DatabaseLogin) -> Mapping[str, str]:
    return {
        f"{side}_HOST": login.host,
        f"{side}_PORT": str(login.port),
        f"{side}_DATABASE": login.database,
        f"{side}_USER": login.username,
        f"{side}_TLS": login.tls,
    }


def _files(side: str, login: DatabaseLogin) -> dict[str, str]:
    files = {f"{side}-password": login.password}
    return files | ({f"{side}-authority": login.authority} if login.authority else {})
