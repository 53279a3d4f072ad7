"""The move of the object store: from and to any mode."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from components.object_store import minio
from ops.doctor.run import causes, lines
from ops.lib.kubectl import documents
from ops.lib.move.flyte_config import StoreLogin
from ops.lib.move.job import Step, run_job
from ops.lib.move.part import PartOfStack
from ops.lib.move.record import Part
from ops.lib.move.task_pods import await_task_pods
from ops.lib.state import State
from ops.lib.store_mode import COMPONENTS
from ops.lib.volumes import deploy_component
from paths import ROOT
from settings import PROJECT
from settings.errors import SettingsError

_SCRIPTS = ROOT / "scripts"
# The Secret with the key that writes every bucket: the component, and the name of the resource.
_SECRETS = {
    "bundled": (COMPONENTS["bundled"], "minio-root"),
    "external": (COMPONENTS["external"], "object-store-keys"),
}


@dataclass(frozen=True)
class StoreMove(PartOfStack):
    """A move of the object store, see `ops.lib.move.moving.Moving`."""

    part: ClassVar[Part] = "store"
    setting: ClassVar[str] = f"{PROJECT}:minio.mode"
    components: ClassVar[frozenset[str]] = frozenset(COMPONENTS.values())

    @property
    def before(self) -> str:
        """What Flyte uses, for messages."""
        return f"the object store at {self.flyte.store}"

    @property
    def after(self) -> str:
        """What the settings choose, for messages."""
        return f"the object store at {self._endpoint}"

    @property
    def used(self) -> str:
        """Type of the component that provides what Flyte uses."""
        return COMPONENTS["bundled" if self.flyte.store.endpoint == self._bundled else "external"]

    @property
    def wanted(self) -> str:
        """Type of the component that provides what the settings choose."""
        return COMPONENTS[self.stack.settings.minio.mode]

    @property
    def in_use(self) -> bool:
        """Whether Flyte already uses what the settings choose."""
        return self.flyte.store.endpoint == self._endpoint

    @property
    def _bundled(self) -> str:
        return f"http://{minio.SERVICE}.{self.stack.settings.namespace}.svc:{minio.PORT}"

    @property
    def _endpoint(self) -> str:
        external = self.stack.settings.minio.used_external
        return external.address if external else self._bundled

    def check(self) -> None:
        """Deploy the new server, or the check of one that the stack does not run, and look at what it has.

        Raises:
            SettingsError: the new one cannot take the objects. Flyte was not touched.
        """
        bucket = self.stack.settings.minio.bucket
        if bucket != self.flyte.store.bucket:
            raise SettingsError(
                f"{PROJECT}:minio.bucket: is {bucket!r}, but the rows of the database refer to objects in the bucket "
                f"{self.flyte.store.bucket!r}. Write that name; the new store needs a bucket of this name"
            )
        external = self.stack.settings.minio.used_external
        if not self.flyte.store.access_key or (external and external.auth == "iam"):
            raise SettingsError(
                f"{PROJECT}:minio.external.auth: with roles of AWS there is no key that a move could copy with. Copy "
                "the buckets yourself, as docs/outgrowing.md says"
            )
        if deploy_component(self.stack, self.wanted):
            for finding in causes(self.stack.name, self.stack.settings):
                print(lines(finding), flush=True)
            raise SettingsError("the new store could not be deployed or checked; the reason is in the messages above")
        self._run("check")

    def await_writers(self, say: Callable[[str], None]) -> None:
        """Wait for the pods of tasks, which write to the store although Flyte is stopped.

        Raises:
            SettingsError: they do not end.
        """
        await_task_pods(self.stack, say)

    def copy(self) -> None:
        """Copy every bucket, compare, and mark the old ones as left behind.

        Raises:
            SettingsError: it fails, or something differs.
        """
        self._run("copy")
        self._run("leave")

    def settle(self) -> None:
        """Remove the mark from what Flyte uses now.

        Raises:
            SettingsError: the store does not answer.
        """
        self._run("settle")

    def _run(self, action: str) -> dict[str, Any]:
        here, there = self.flyte.store, self._login()
        buckets = " ".join(self.stack.settings.buckets)
        stores = {
            "ACTION": action,
            "FROM_URL": here.endpoint,
            "TO_URL": there.endpoint,
            "BUCKETS": buckets,
            "MARK": f"used by the stack {self.stack.name} of the cluster {self.stack.settings.cluster_uid} before",
            "SSL_CERT_DIR": "/run/credentials",
        }
        # Where two regions differ, the client asks each store for its own. The bundled server accepts any.
        regions = {one.region for one in (here, there) if one.endpoint != self._bundled}
        if len(regions) == 1:
            stores["MC_REGION"] = regions.pop()
        credentials = _files("from", here) | _files("to", there)
        steps = [Step(action, "mc", _SCRIPTS / "move" / "store.sh", stores)]
        database = self.flyte.database
        if action == "copy":
            login = {
                "PGHOST": database.host,
                "PGPORT": str(database.port),
                "PGDATABASE": database.database,
                "PGUSER": database.username,
                "PGSSLMODE": database.tls,
                "BUCKETS": buckets,
            }
            steps.append(Step("compare", "postgres", _SCRIPTS / "move" / "compare.sh", login))
            credentials["database-password"] = database.password
            if database.authority:
                credentials["database-authority"] = database.authority
        files = [_SCRIPTS / "backup" / name for name in ("references.sql", "dangling.sh")]
        return run_job(self.stack, self.flyte.pull_secrets, steps, credentials, files)

    def _login(self) -> StoreLogin:
        """Return how to reach the store that the settings choose; it, or its check, is deployed by now."""
        minio_settings = self.stack.settings.minio
        external = minio_settings.used_external
        found = self._secret(*_SECRETS[minio_settings.mode])
        if not external:
            return StoreLogin(self._bundled, minio_settings.bucket, found["root-user"], found["root-password"])
        return StoreLogin(
            external.address,
            minio_settings.bucket,
            found["flyte.access"],
            found["flyte.secret"],
            external.region,
            external.certificate_authority,
        )

    def _secret(self, component: str, name: str) -> dict[str, str]:
        """Return the content of a Secret of a component, by the name of its resource."""
        state = State.of(self.stack.environment, self.stack.name)
        secret = state.object_name(component, "kubernetes:core/v1:Secret", name)
        where = f"--namespace={self.stack.settings.namespace}"
        (found,) = documents(self.stack.cluster.ask("get", "secret", secret, where, "--output=json"))
        return {key: base64.b64decode(value).decode() for key, value in found["data"].items()}


def _files(side: str, login: StoreLogin) -> dict[str, str]:
    files = {f"{side}-user": login.access_key, f"{side}-key": login.secret_key}
    return files | ({f"{side}-authority.pem": login.authority} if login.authority else {})
