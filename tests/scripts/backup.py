"""A database, an object store, a target for backups, and the steps of the pods, run as a pod runs them."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from components.backup.backup import _CHECK, _backup, _restore
from components.backup.names import USER
from components.backup.steps import Pods, Sources, Step
from components.database import Database
from components.object_store import StoreCredentials, StoreForBackup
from components.object_store.policies import reading_policy
from components.pods import Platform
from settings.backup import BackupSettings
from settings.images import IMAGES
from tests.processes import Workspace, wait_until
from tests.scripts.conftest import SCRIPTS, Programs
from tests.scripts.repository import create_repository
from tests.scripts.store import ROOT_PASSWORD, Store
from tests.scripts.test_postgres_scripts import FLYTE, SUPERUSER, Cluster
from tests.tools import require

SCHEMA = Path(__file__).with_name("flyte_schema.sql")
PASSWORD, STORE_KEY, TARGET_KEY = "plantedRepositoryPassword", "plantedStoreKey1", "plantedTargetKey1"
SECRETS = (PASSWORD, STORE_KEY, TARGET_KEY, SUPERUSER, FLYTE, ROOT_PASSWORD)
KEEPER = "keeper"
"""User of the target, who may do everything in its buckets."""
DATABASES = ("flyte", "flyte_replaced", "flyte_restored")


@dataclass(frozen=True)
class Done:
    """How a pod ended."""

    code: int
    output: str
    errors: str
    step: str

    @property
    def result(self) -> dict[str, Any]:
        """What the last line says."""
        (line,) = [line for line in self.output.splitlines() if line.startswith("RESULT ")]
        return cast(dict[str, Any], json.loads(line.removeprefix("RESULT ")))

    @property
    def complaint(self) -> str:
        """The one message of a failure; other lines can only be what restic said itself."""
        assert self.code != 0, self.output
        lines = self.errors.splitlines()
        messages = [line for line in lines if not line.startswith(f"{self.step}:   restic: ")]
        assert len(messages) == 1, self.errors
        (message,) = messages
        assert len(lines) <= 5, self.errors
        assert message.startswith(f"{self.step}: ")
        return message.removeprefix(f"{self.step}: ")


class Servers:
    """The servers, which all tests of a file share."""

    def __init__(self, database: Cluster, store: Store, target: Store) -> None:
        self.database, self.store, self.target = database, store, target
        store.start()
        target.start()
        store.root("admin", "user", "add", "store", USER, STORE_KEY)
        self.grant(store, USER, reading_policy())
        target.root("admin", "user", "add", "store", KEEPER, TARGET_KEY)
        self.grant(target, KEEPER, policy("s3:*"))

    @staticmethod
    def grant(store: Store, user: str, rules: Mapping[str, Any]) -> None:
        """Give a user of ``store`` exactly these rights."""
        file = store.work.path / f"{user}.json"
        file.write_text(json.dumps(rules))
        store.root("admin", "policy", "create", "store", user, str(file))
        store.mc("admin", "policy", "attach", "store", user, "--user", user, user="root", key=ROOT_PASSWORD)

    def reset(self) -> None:
        """Empty them, and create Flyte's tables."""
        self.empty_database()
        self.empty_store()
        command = self.database.psql("-h", "127.0.0.1", "-U", "flyte", "-d", "flyte")
        done = subprocess.run(
            command,
            env={**self.database.env, "PGPASSWORD": FLYTE},
            input=SCHEMA.read_text(),
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert done.returncode == 0, done.stderr

    def empty_database(self) -> None:
        """Leave the database of a first start."""
        for name in DATABASES:
            self.database.sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        self.database.ensure_roles()

    def empty_store(self) -> None:
        """Remove every bucket of the stack's store."""
        for line in self.store.root("ls", "--json", "store").splitlines():
            self.store.root("rb", "--force", f"store/{json.loads(line)['key']}")


def policy(*actions: str, only: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A policy that allows ``actions`` everywhere, and each action in ``only`` in one place."""
    allowed = dict.fromkeys(actions, "*") | dict(only or {})
    statements = [
        {"Effect": "Allow", "Action": [action], "Resource": [f"arn:aws:s3:::{place}"]}
        for action, place in allowed.items()
    ]
    return {"Version": "2012-10-17", "Statement": statements}


class Home:
    """The stack of one test, and its backup."""

    def __init__(self, servers: Servers, work: Workspace, bin_folder: Path, bucket: str) -> None:
        self.servers, self.path, self._work = servers, work.path, work
        self.runs = 0
        self.superuser = True
        """Whether the stack runs the server, and so has its superuser."""
        self._log, self._errors = work.path / "log", work.path / "errors"
        self.bucket = bucket
        self.buckets: Sequence[str] = ()
        self.settings = BackupSettings(target="claim:disk/flyte")
        self.repository = self.path / "target" / "flyte"
        self._images = _images(work, bin_folder)
        for name in ("scripts", "access", "state", "tmp", "target", "work", "database", "root-database"):
            work.folder(name)
        for name in ("store", "root-store"):
            work.folder(name)
        work.file("database/database-password", FLYTE)
        work.file("root-database/superuser-password", SUPERUSER)
        work.file("store/store-key", STORE_KEY)
        work.file("root-store/root-user", "root")
        work.file("root-store/root-password", ROOT_PASSWORD)
        self.access(PASSWORD, TARGET_KEY)
        create_repository(self.repository, PASSWORD)
        for script in [*(SCRIPTS / "backup").iterdir(), SCRIPTS / "schedules" / "skip-missed.sql"]:
            work.file(f"scripts/{script.name}", script.read_text())
        work.file("scripts/about.json", json.dumps({"stack": "dev", "version": "1"}))

    def access(self, password: str, credentials: str) -> None:
        """Write what opens the repository."""
        self._work.file("access/password", password)
        self._work.file("access/credentials", f"{credentials}\n")

    def use_store_of_others(self, *buckets: str) -> None:
        """Let the steps open only these buckets of the stack's store, with a user that sees no others."""
        store = self.servers.store
        user, key = "of-others", STORE_KEY
        rights = ("s3:ListBucket", "s3:GetBucketLocation", "s3:GetObject", "s3:PutObject")
        resources = [f"arn:aws:s3:::{bucket}{rest}" for bucket in buckets for rest in ("", "/*")]
        statement = {"Effect": "Allow", "Action": list(rights), "Resource": resources}
        content = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        store.root("admin", "user", "add", "store", text=f"{user}\n{key}\n")
        file = self._work.file("policy.json", content)
        store.root("admin", "policy", "create", "store", user, str(file))
        store.root("admin", "policy", "attach", "store", user, "--user", user)
        self.buckets = buckets
        self._work.file("store/store-user", user)
        self._work.file("root-store/root-user", user)
        self._work.file("root-store/root-password", key)

    def use_bucket(self, user: str = KEEPER, key: str = TARGET_KEY, *, create: bool = True) -> str:
        """Make the object store of the target the place of the backups. Returns the path of the repository in it."""
        self.with_settings(
            target=f"s3:{self.servers.target.url}/{self.bucket}/flyte", access_key_id=user, region="us-east-1"
        )
        self.access(PASSWORD, key)
        place = f"store/{self.bucket}/flyte"
        if create:
            self.servers.target.root("mb", f"store/{self.bucket}")
            create_repository(self.path / "created", PASSWORD)
            self.servers.target.root("mirror", "--quiet", str(self.path / "created"), place)
        return place

    def with_settings(self, **changes: Any) -> None:
        """Change settings of the backup."""
        self.settings = self.settings.model_copy(update=changes)

    @property
    def calls(self) -> str:
        """Arguments of every program that the steps have started."""
        return "".join(image.calls for image, _ in self._images.values())

    def count(self, call: str) -> int:
        """Number of calls of a program that begin with these arguments."""
        return sum(image.count(call) for image, _ in self._images.values())

    def backup(self, **environment: str) -> Done:
        """Run the pod of a backup."""
        return self._pod(_backup(self._database), "work", environment, administer=False)

    def must_backup(self, **environment: str) -> dict[str, Any]:
        """Run the pod of a backup, which has to succeed."""
        done = self.backup(**environment)
        assert done.code == 0, done.errors
        return done.result

    def step(self, name: str, **environment: str) -> Done:
        """Run one step of a backup, of the same run as the last one."""
        steps = [step for step in _backup(self._database) if step.name == name]
        return self._pod(steps, "work", environment, administer=False, run=f"backup-{self.runs}")

    def check(self, action: str, **environment: str) -> Done:
        """Run the pod that does something else with the repository."""
        done = self._pod(_CHECK, "work", {"ACTION": action, **environment}, administer=False)
        return replace(done, step=action)

    def sets(self) -> list[dict[str, Any]]:
        """All sets, the oldest first."""
        done = self.check("list")
        assert done.code == 0, done.errors
        return cast(list[dict[str, Any]], done.result["sets"])

    def restore(self, at: str = "latest", until: str = "", **environment: str) -> Done:
        """Run the pod of a restore on a new volume, up to the step ``until``."""
        shutil.rmtree(self.path / "restore", ignore_errors=True)
        self._work.folder("restore")
        steps = _restore(self._database, drill=False)
        names = [step.name for step in steps]
        if until:
            steps = steps[: names.index(until) + 1]
        return self._pod(steps, "restore", {"AT": at, **environment}, administer=True)

    def must_restore(self, at: str = "latest", until: str = "", **environment: str) -> Done:
        """Run the pod of a restore, which has to succeed."""
        done = self.restore(at, until, **environment)
        assert done.code == 0, f"{done.step}: {done.errors}"
        return done

    def killed_backup(self, seconds: float) -> bool:
        """Run the pod of a backup, and kill all its processes after ``seconds``. Returns whether it still ran."""
        return self._killed(_backup(self._database), "work", seconds, administer=False)

    def killed_restore(self, seconds: float) -> bool:
        """Run the pod of a restore on a new volume, and kill all its processes after ``seconds``."""
        shutil.rmtree(self.path / "restore", ignore_errors=True)
        self._work.folder("restore")
        return self._killed(_restore(self._database, drill=False), "restore", seconds, administer=True)

    def restore_step(self, name: str, **environment: str) -> Done:
        """Run one step of a restore on the volume of the last one."""
        steps = [step for step in _restore(self._database, drill=False) if step.name == name]
        return self._pod(steps, "restore", environment, administer=True)

    @contextmanager
    def started_restore_step(self, name: str) -> Iterator[subprocess.Popen[str]]:
        """Run one step of a restore in the background. At the end, all its processes are killed."""
        steps = [step for step in _restore(self._database, drill=False) if step.name == name]
        (container,) = self._containers(steps, administer=True)
        process = self._start(container, "restore", {}, "restore", True)
        try:
            yield process
        finally:
            _end(process)

    def _killed(self, steps: Sequence[Step], work: str, seconds: float, *, administer: bool) -> bool:
        end = time.monotonic() + seconds
        self.runs += 1
        for container in self._containers(steps, administer=administer):
            process = self._start(container, work, {}, f"backup-{self.runs}", administer)
            try:
                process.wait(timeout=max(end - time.monotonic(), 0.01))
            except subprocess.TimeoutExpired:
                return True
            finally:
                _end(process)
        return False

    @property
    def _database(self) -> Database:
        port = self.servers.database.port
        return Database("127.0.0.1", port, "flyte", "flyte", FLYTE, "database", 100, superuser=self.superuser)

    def _containers(self, steps: Sequence[Step], *, administer: bool) -> list[dict[str, Any]]:
        platform = Platform("flyte", cast(Any, None), IMAGES, cast(Any, None), cast(Any, None))
        prefix = "root-" if administer else ""
        opening = StoreCredentials(f"{prefix}store", {})
        store = StoreForBackup(self.servers.store.url, opening, opening, USER)
        if self.buckets:
            store = replace(store, reader_name="", buckets=self.buckets, region="us-east-1")
        sources = Sources(
            "scripts",
            "access",
            self._database,
            {},
            store,
            opening,
        )
        return cast(list[dict[str, Any]], Pods(platform, self.settings, "dev").steps(steps, sources))

    def _pod(
        self, steps: Sequence[Step], work: str, environment: Mapping[str, str], *, administer: bool, run: str = ""
    ) -> Done:
        if not run:
            self.runs += 1
            run = f"backup-{self.runs}"
        output, done = "", Done(0, "", "", "")
        for step, container in zip(steps, self._containers(steps, administer=administer), strict=True):
            changed = {"WAIT": "3", "PATIENCE": "8", **environment}
            began = time.monotonic()
            process = self._start(container, work, changed, run, administer)
            try:
                process.wait(timeout=60)
            finally:
                # The end of its first process is the end of a container.
                _end(process)
            said, errors = self._log.read_text(), self._errors.read_text()
            output += said
            if os.environ.get("TIMES"):
                print(step.name, round(time.monotonic() - began, 2))
            done = Done(process.returncode, output, errors, step.name)
            for secret in SECRETS:
                assert secret not in said + errors
            if process.returncode:
                break
        return done

    def _start(
        self, container: Mapping[str, Any], work: str, changed: Mapping[str, str], run: str, administer: bool = False
    ) -> subprocess.Popen[str]:
        """Start a container: each folder that it mounts is one of the test."""
        name = next(name for name in self._images if IMAGES[name].reference == container["image"])
        programs, shell = self._images[name]
        mounted = {mount["mount_path"]: mount["name"] for mount in container["volume_mounts"]}
        folders = {
            "work": work,
            "repository": "access",
            "database": "root-database" if administer and self.superuser else "database",
            "store": "root-store" if administer else "store",
        }
        environment = {entry["name"]: entry.get("value", run) for entry in container["env"]}
        for variable, value in environment.items():
            for path, volume in mounted.items():
                if value == path or value.startswith(f"{path}/"):
                    environment[variable] = f"{self.path / folders.get(volume, volume)}{value.removeprefix(path)}"
                    break
        environment |= {"PATH": str(programs.path), "TMPDIR": str(self.path / "tmp"), **changed}
        script = Path(container["command"][1]).name
        # Files, because a pipe stays open as long as any process that a step has left behind.
        with self._log.open("w") as output, self._errors.open("w") as errors:
            return subprocess.Popen(
                [*shell, str(self.path / "scripts" / script)],
                env=environment,
                cwd=self.path,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                text=True,
                start_new_session=True,
            )

    def restic(self, *arguments: str, text: str = "") -> str:
        """The output of restic itself."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.path),
            "RESTIC_REPOSITORY": str(self.repository),
            "RESTIC_PASSWORD": PASSWORD,
            "RESTIC_CACHE_DIR": str(self.path / "own-cache"),
        }
        command = [str(require("restic")), *arguments]
        done = subprocess.run(command, env=environment, input=text, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        return done.stdout

    # What the tests plant and compare.

    def sql(self, statement: str, database: str = "flyte") -> str:
        """The output of a statement of Flyte's user."""
        done = self.servers.database.login("flyte", FLYTE, database, statement)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def put(self, name: str, content: bytes, **metadata: str) -> None:
        """Upload an object as root. The name begins with the bucket, which is created if it is missing."""
        source = self.path / "put"
        source.write_bytes(content)
        store = self.servers.store
        store.root("mb", "--ignore-existing", f"store/{name.partition('/')[0]}")
        attributes = ";".join(f"{key}={value}" for key, value in metadata.items())
        store.root("cp", "--quiet", *(["--attr", attributes] if metadata else []), str(source), f"store/{name}")

    def delete(self, name: str) -> None:
        """Delete an object as root."""
        self.servers.store.root("rm", f"store/{name}")

    def content(self) -> dict[str, tuple[str, dict[str, str]]]:
        """Checksum and metadata of each object of the store; a bucket is an entry without them."""
        store = self.servers.store
        copied = self.path / "copied"
        shutil.rmtree(copied, ignore_errors=True)
        found: dict[str, tuple[str, dict[str, str]]] = {}
        for line in store.root("ls", "--json", "store").splitlines():
            bucket = json.loads(line)["key"].strip("/")
            found[bucket] = ("", {})
            if not store.root("ls", "--recursive", f"store/{bucket}"):
                continue
            store.root("mirror", "--quiet", f"store/{bucket}", str(copied / bucket))
            for entry in store.root("stat", "--recursive", "--json", f"store/{bucket}").splitlines():
                about = json.loads(entry)
                data = (copied / about["name"]).read_bytes()
                metadata = {
                    key: value for key, value in about.get("metadata", {}).items() if key.startswith("X-Amz-Meta-")
                }
                found[about["name"]] = (hashlib.sha256(data).hexdigest(), metadata)
        return found

    def source(self) -> tuple[str, str]:
        """Everything that a backup reads: the database, and times and checksums of all objects."""
        return self.rows(), self.servers.store.root("ls", "--recursive", "--json", "store")

    def rows(self) -> str:
        """The whole database as SQL."""
        database = self.servers.database
        command = [str(database._binaries / "pg_dump"), "-h", "127.0.0.1", "-U", "flyte", "--no-comments", "flyte"]
        done = subprocess.run(
            command, env={**database.env, "PGPASSWORD": FLYTE}, capture_output=True, text=True, timeout=30
        )
        assert done.returncode == 0, done.stderr
        # Two lines have a word that is different each time.
        return "".join(line for line in done.stdout.splitlines(True) if "restrict " not in line)

    def secrets_in(self, *folders: str) -> list[str]:
        """Names of files below these folders that have a planted secret."""
        return [
            str(file.relative_to(self.path))
            for folder in folders
            for file in (self.path / folder).rglob("*")
            if file.is_file() and any(secret.encode() in file.read_bytes() for secret in SECRETS)
        ]


def _end(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _images(work: Workspace, binaries: Path) -> dict[str, tuple[Programs, list[str]]]:
    """Programs and shell of each image."""

    def image(name: str, programs: Mapping[str, Path | str], basics: Mapping[str, Path | str], shell: list[str]):
        inside = replace(work, path=work.folder(name))
        made = Programs(inside, programs)
        for program, path in basics.items():
            (made.path / program).symlink_to(path)
        return made, shell

    system = {path.name: path for folder in ("/bin", "/usr/bin") for path in Path(folder).iterdir() if path.is_file()}
    system_shell = ["/bin/sh"]
    postgres = {name: binaries / name for name in ("psql", "pg_dump", "pg_restore", "pg_amcheck")}
    small = {name: system[name] for name in ("cat", "date", "sleep")}
    restic = {"restic": require("restic"), "jq": require("jq")}
    others = {name: found for name in ("flock", "ssh") if (found := shutil.which(name))}
    busybox = shutil.which("busybox")
    if busybox:
        applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
        basics: dict[str, Path | str] = {name: busybox for name in applets if "/" not in name} | others
        shell = [busybox, "sh"]
    else:
        basics, shell = {name: path for name, path in system.items() if name not in restic}, system_shell
    return {
        "postgres": image(
            "image-postgres", postgres, {k: v for k, v in system.items() if k not in postgres}, system_shell
        ),
        "mc": image("image-mc", {"mc": require("mc")}, small, system_shell),
        "restic": image("image-restic", restic, basics, shell),
    }


def plant(home: Home) -> None:
    """Rows and objects that are easy to damage."""
    home.sql(
        """
        CREATE TABLE odd ("Na me" text PRIMARY KEY, bytes bytea, number numeric);
        CREATE TABLE "empty Table" (id int);
        INSERT INTO odd VALUES (E'tab\\there', '\\x00ff5c2e0a', 1e-30), (E'line\\n\\\\.\\nbreak', '', 'NaN'),
          ('COPY public.odd FROM stdin;', NULL, NULL), ('Lücke "''%', decode(repeat('5c2e0a', 9999), 'hex'), 0);
        """
    )
    home.servers.store.root("mb", "store/empty")
    home.put("flyte/metadata/empty", b"")
    home.put("flyte/code/archive.tar.gz", b"\x00\xffcode", flyteContentMD5="1B2M2Y8AsgTpgAmY7PhCfg==")
    for number, name in enumerate(NAMES):
        file = home.path / "planted" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"content {number}")
    (home.path / "planted" / "large").write_bytes(LARGE)
    home.servers.store.root("mb", "store/tasks")
    home.servers.store.root("mirror", "--quiet", str(home.path / "planted"), "store/tasks")


NAMES = (
    "with space",
    "quotes ' and \"",
    "100% %20+",
    "Größe/日本",
    "-dash",
    "semi;colon=is",
    "a/b/c/d",
    "[a]*?$HOME",
    "back\\slash",
)
LARGE = hashlib.shake_128(b"large").digest(17 * 1024 * 1024)
__all__ = ["DATABASES", "Done", "Home", "Servers", "plant", "policy", "wait_until"]
