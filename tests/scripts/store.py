"""A real object store, and the script that provisions it, run as its Job runs it."""

import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import trustme

from components.object_store.archives import flyte_archives, flyte_policy_names, task_archives
from settings import settings_from
from settings.projects import TaskScope
from tests.conftest import stack
from tests.processes import Workspace, free_port, wait_until, workspace
from tests.scripts.conftest import SCRIPTS, Programs, run_script, tools
from tests.tools import require

SCRIPT, RETIRE = "minio/provision.sh", "minio/retire.sh"
# Letters and digits, like generated keys.
ROOT_PASSWORD, SECRET_KEY, CHANGED_KEY = "plantedRootPassword1", "plantedSecretKey1", "plantedSecretKey2"
BUCKET, USER = "flyte", "flyte"


def project(name: str, domain: str, **more: Any) -> TaskScope:
    """A task scope of a project with these settings."""
    settings = settings_from(*stack(projects=[{"name": name, **more}], domains=[domain], tidalCreds=None))
    (scope,) = settings.task_scopes
    return scope


def user_of(project: TaskScope) -> str:
    """The user of the scope's tasks."""
    return f"{USER}-tasks-{project.project}-{project.domain}"


def key_of(project: TaskScope) -> str:
    """The secret key of the scope's tasks."""
    return f"plantedKeyOf{project.project}{project.domain}".replace("-", "")


class Store:
    """An object store with its server, and the script, run as its Job runs it."""

    def __init__(self, server: str, client: str, work: Workspace) -> None:
        self.work, self.port = work, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._server, self._client = server, client
        self.programs = Programs(work, {"mc": client} | tools("cat", "date", "sleep", "printf", "echo"))
        self.home = work.folder("home")
        self._own_home = work.folder("own-home")
        self._root, self._keys, self._scripts = (work.folder(name) for name in ("root", "keys", "scripts"))
        self._process: subprocess.Popen[bytes] | None = None
        self._trust: ssl.SSLContext | None = None
        self.mount()

    def mount(
        self,
        root_password: str = ROOT_PASSWORD,
        secret_key: str = SECRET_KEY,
        bucket: str = BUCKET,
        projects: Sequence[TaskScope] = (),
        user: str = USER,
        days: int = 0,
    ) -> None:
        """Write credentials and policies to where the Job mounts its Secrets and its ConfigMap."""
        self.work.file("root/root-user", "root")
        self.work.file("root/root-password", root_password)
        for folder in (self._keys, self._scripts):
            for old in folder.iterdir():
                old.unlink()
        self.work.file("scripts/root.sh", (SCRIPTS / "minio" / "root.sh").read_text())
        self.work.file(f"keys/{user}", secret_key)
        for project in projects:
            self.work.file(f"keys/{user_of(project)}", key_of(project))
        users = {user_of(project): project for project in projects}
        for archives in (flyte_archives(user, bucket, projects, days), *task_archives(bucket, users, days)):
            for name, content in archives.items():
                (self._scripts / name).write_bytes(content)
        table = {user: bucket} | {user: project.bucket for user, project in users.items()}
        self.work.file("scripts/users", "".join(f"{name} {opened}\n" for name, opened in table.items()))
        kept = [*flyte_policy_names(user, bucket, projects), *users]
        self.work.file("scripts/kept", "".join(f"{name}\n" for name in kept))

    def env(self, wait: int) -> dict[str, str]:
        """The environment of the script."""
        return {
            "PATH": str(self.programs.path),
            "HOME": str(self.home),
            "MC_CONFIG_DIR": str(self.home / ".mc"),
            "STORE_URL": self.url,
            "SCRIPTS": str(self._scripts),
            "ROOT": str(self._root),
            "KEYS": str(self._keys),
            "OWN": USER,
            "KEPT": str(self._scripts / "kept"),
            "WAIT": str(wait),
        }

    def start(self, authority: trustme.CA | None = None, region: str = "") -> None:
        """Start the server and wait until it is ready.

        Args:
            authority: authority of its certificate; None: it speaks no TLS.
            region: region that signatures must have; empty: any.
        """
        env = {
            "HOME": str(self._own_home),
            "MINIO_ROOT_USER": "root",
            "MINIO_ROOT_PASSWORD": ROOT_PASSWORD,
            "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
            **({"MINIO_SITE_REGION": region} if region else {}),
        }
        log = self.work.path / "server.log"
        command = [self._server, "server", str(self.work.path / "data"), "--address", f"127.0.0.1:{self.port}"]
        if authority:
            certificates = self.work.folder("certificates")
            issued = authority.issue_cert("127.0.0.1")
            issued.private_key_pem.write_to_path(str(certificates / "private.key"))
            issued.cert_chain_pems[0].write_to_path(str(certificates / "public.crt"))
            self._trust = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
            self.url = self.url.replace("http://", "https://")
            command += ["--certs-dir", str(certificates)]
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env, cwd=self.work.path
            )

        def ready() -> bool:
            assert self._process is not None
            assert self._process.poll() is None, f"the object store does not start: {log.read_text()}"
            return self.answers("/minio/health/ready") == 200

        wait_until(ready, "the object store's start")

    def stop(self) -> None:
        """Stop the server."""
        if self._process and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def kill(self) -> None:
        """Kill the server, which cannot finish anything."""
        assert self._process
        self._process.kill()
        self._process.wait()

    def answers(self, path: str) -> int | None:
        """The status of the response to a request without credentials; None if there is no response."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=5, context=self._trust) as answer:  # noqa: S310 (the URL is ours)
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return None

    def run(self, wait: int = 20) -> subprocess.CompletedProcess[str]:
        """Run the script to its end."""
        return run_script(SCRIPT, self.env(wait), self.work)

    def provision(self) -> subprocess.CompletedProcess[str]:
        """Run the script that provisions the store, which must succeed."""
        done = self.run()
        assert done.returncode == 0, done.stderr
        return done

    def retire(self, **environment: str) -> None:
        """Run the script that removes retired users, which must succeed."""
        done = run_script(RETIRE, self.env(20) | environment, self.work)
        assert done.returncode == 0, done.stderr

    def mc(
        self, *arguments: str, user: str = USER, key: str = SECRET_KEY, text: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """The result of running the client as this user on the alias ``store``."""
        env = {
            "HOME": str(self._own_home),
            "MC_CONFIG_DIR": str(self._own_home / ".mc"),
            "MC_HOST_store": self.url.replace("://", f"://{user}:{key}@"),
        }
        command = [self._client, *arguments]
        return subprocess.run(command, env=env, input=text, capture_output=True, text=True, timeout=20)

    def root(self, *arguments: str, text: str = "") -> str:
        """The output of the client for root, who has all rights."""
        done = self.mc(*arguments, user="root", key=ROOT_PASSWORD, text=text)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def lets_in(self, key: str, user: str = USER) -> bool:
        """Whether the user can list its bucket with this key; any failure other than a rejected key is an error."""
        done = self.mc("ls", f"store/{BUCKET}", user=user, key=key)
        if done.returncode != 0:
            assert "signature we calculated does not match" in done.stderr
        return done.returncode == 0


@contextmanager
def stopped_store() -> Iterator[Store]:
    """A store whose server is not running; it is stopped when the context ends."""
    with workspace() as work:
        made = Store(str(require("minio")), str(require("mc")), work)
        try:
            yield made
        finally:
            made.stop()
