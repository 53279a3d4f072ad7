"""The script that provisions the object store, against a real server."""

import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from components.minio import _policy
from tests.processes import Workspace, free_port, wait_until, workspace
from tests.scripts.conftest import Programs, run_script, start_script, tools
from tests.tools import require

SCRIPT = "minio/provision.sh"
# Letters and digits, as the program generates them.
ROOT_PASSWORD, SECRET_KEY, CHANGED_KEY = "plantedRootPassword1", "plantedSecretKey1", "plantedSecretKey2"
BUCKET, USER = "flyte", "flyte"


class Store:
    """An object store, its server, and the script as its Job would run it."""

    def __init__(self, server: str, client: str, work: Workspace) -> None:
        self.work, self.port = work, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._server, self._client = server, client
        self.programs = Programs(work, {"mc": client} | tools("cat", "date", "sleep", "printf", "echo"))
        self.home = work.folder("home")
        self._own_home = work.folder("own-home")
        self._credentials = work.folder("credentials")
        self._process: subprocess.Popen[bytes] | None = None
        self.mount()

    def mount(self, root_password: str = ROOT_PASSWORD, secret_key: str = SECRET_KEY, bucket: str = BUCKET) -> None:
        """Put credentials and policy where the Job would have its Secrets and its ConfigMap."""
        self.work.file("credentials/root-user", "root")
        self.work.file("credentials/root-password", root_password)
        self.work.file("credentials/secret-key", secret_key)
        self._policy = self.work.file("policy.json", _policy(bucket))
        self._bucket = bucket

    def env(self, wait: int) -> dict[str, str]:
        """The script's environment."""
        return {
            "PATH": str(self.programs.path),
            "HOME": str(self.home),
            "MC_CONFIG_DIR": str(self.home / ".mc"),
            "STORE_URL": self.url,
            "BUCKET": self._bucket,
            "ACCESS_KEY": USER,
            "POLICY": str(self._policy),
            "CREDENTIALS": str(self._credentials),
            "WAIT": str(wait),
        }

    def start(self) -> None:
        """Start the server and wait until it is ready."""
        env = {
            "HOME": str(self._own_home),
            "MINIO_ROOT_USER": "root",
            "MINIO_ROOT_PASSWORD": ROOT_PASSWORD,
            "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
        }
        log = self.work.path / "server.log"
        command = [self._server, "server", str(self.work.path / "data"), "--address", f"127.0.0.1:{self.port}"]
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

    def answers(self, path: str) -> int | None:
        """The status of an answer to a request without credentials, None if there is no answer."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as answer:  # noqa: S310 (the URL is ours)
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return None

    def run(self, wait: int = 20) -> subprocess.CompletedProcess[str]:
        """Run the script to its end."""
        return run_script(SCRIPT, self.env(wait), self.work)

    def provision(self) -> subprocess.CompletedProcess[str]:
        """Run the script, which has to succeed."""
        done = self.run()
        assert done.returncode == 0, done.stderr
        return done

    def mc(
        self, *arguments: str, user: str = USER, key: str = SECRET_KEY, text: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """What the client gets, as this user, from the alias ``store``."""
        env = {
            "HOME": str(self._own_home),
            "MC_CONFIG_DIR": str(self._own_home / ".mc"),
            "MC_HOST_store": self.url.replace("://", f"://{user}:{key}@"),
        }
        command = [self._client, *arguments]
        return subprocess.run(command, env=env, input=text, capture_output=True, text=True, timeout=20)

    def root(self, *arguments: str, text: str = "") -> str:
        """What the client prints for root, who may do everything."""
        done = self.mc(*arguments, user="root", key=ROOT_PASSWORD, text=text)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def lets_in(self, key: str) -> bool:
        """Whether the user can list its bucket with this key; any failure but a refused key is an error."""
        done = self.mc("ls", f"store/{BUCKET}", key=key)
        if done.returncode != 0:
            assert "signature we calculated does not match" in done.stderr
        return done.returncode == 0


@contextmanager
def stopped_store() -> Iterator[Store]:
    """A store whose server is not running, and will not be when the context ends."""
    with workspace() as work:
        made = Store(str(require("minio")), str(require("mc")), work)
        try:
            yield made
        finally:
            made.stop()


@pytest.fixture
def down() -> Iterator[Store]:
    """A store whose server is not running."""
    with stopped_store() as made:
        yield made


@pytest.fixture
def store(down: Store) -> Store:
    """A store that no script has seen yet, with its server running."""
    down.start()
    return down


@pytest.fixture(scope="module")
def ready() -> Iterator[Store]:
    """A provisioned store, and in it a second bucket that is not the user's. Shared: leave it as it is."""
    with stopped_store() as made:
        made.start()
        made.provision()
        made.root("mb", "store/other")
        made.root("pipe", "store/other/object", text="not for everybody")
        yield made


def test_the_first_start_makes_bucket_and_user(store: Store):
    assert store.root("ls", "store") == ""

    store.provision()

    assert store.root("ls", "store").split()[-1] == f"{BUCKET}/"
    assert store.lets_in(SECRET_KEY)


def test_a_repeated_start_succeeds_and_keeps_objects(ready: Store):
    assert ready.mc("pipe", f"store/{BUCKET}/kept", text="kept").returncode == 0

    ready.provision()

    assert ready.mc("cat", f"store/{BUCKET}/kept").stdout == "kept"
    assert ready.root("cat", "store/other/object") == "not for everybody"


def test_the_user_can_write_list_read_and_delete_in_its_bucket(ready: Store):
    name = f"store/{BUCKET}/run/1"

    assert ready.mc("pipe", name, text="a result").returncode == 0
    assert ready.mc("ls", f"store/{BUCKET}/run/").stdout.split()[-1] == "1"
    assert ready.mc("cat", name).stdout == "a result"
    assert ready.mc("rm", name).returncode == 0
    assert ready.mc("ls", f"store/{BUCKET}/run/").stdout == ""


def test_the_user_can_write_an_object_in_parts(ready: Store):
    # More than one of the 16 MiB that the client sends at a time.
    content = "0123456789abcdef" * (2 << 20)

    assert ready.mc("pipe", f"store/{BUCKET}/large", text=content).returncode == 0

    assert ready.mc("cat", f"store/{BUCKET}/large").stdout == content


@pytest.mark.parametrize(
    "call",
    [
        ["ls", "store/other"],
        ["cat", "store/other/object"],
        ["pipe", "store/other/object"],
        ["pipe", "store/other/new"],
        ["rm", "store/other/object"],
    ],
    ids=" ".join,
)
def test_the_user_is_refused_on_another_bucket(ready: Store, call: list[str]):
    done = ready.mc(*call, text="from the user")

    assert done.returncode != 0
    assert "Access Denied" in done.stderr or "Insufficient permissions" in done.stderr
    assert "everybody" not in done.stdout
    assert [line.split()[-1] for line in ready.root("ls", "store/other").splitlines()] == ["object"]
    assert ready.root("cat", "store/other/object") == "not for everybody"


@pytest.mark.parametrize(
    "call",
    [
        ["admin", "info", "store"],
        ["admin", "user", "list", "store"],
        ["admin", "user", "add", "store", "another", "another-key"],
        ["admin", "policy", "attach", "store", "consoleAdmin", "--user", USER],
        ["admin", "user", "svcacct", "add", "store", USER],
        ["mb", "store/another"],
        ["rb", "--force", f"store/{BUCKET}"],
        ["anonymous", "set", "public", f"store/{BUCKET}"],
    ],
    ids=" ".join,
)
def test_the_user_is_refused_what_is_not_about_objects(ready: Store, call: list[str]):
    done = ready.mc(*call)

    assert done.returncode != 0
    assert "Access Denied" in done.stderr
    assert [line.split()[-1] for line in ready.root("ls", "store").splitlines()] == [f"{BUCKET}/", "other/"]


def test_the_bucket_is_closed_to_requests_without_a_key(ready: Store):
    assert ready.mc("pipe", f"store/{BUCKET}/object", text="not for everybody").returncode == 0

    assert ready.answers(f"/{BUCKET}/object") == 403
    assert ready.answers(f"/{BUCKET}") == 403


def test_a_changed_secret_key_replaces_the_old_one(store: Store):
    store.provision()
    assert not store.lets_in(CHANGED_KEY)

    store.mount(secret_key=CHANGED_KEY)
    store.provision()

    assert store.lets_in(CHANGED_KEY)
    assert not store.lets_in(SECRET_KEY)


def test_a_changed_bucket_is_made_and_the_old_one_keeps_its_objects_but_not_its_user(store: Store):
    store.provision()
    assert store.mc("pipe", f"store/{BUCKET}/run", text="kept").returncode == 0

    store.mount(bucket="renamed")
    store.provision()

    assert store.mc("pipe", "store/renamed/run", text="new").returncode == 0
    assert store.mc("ls", f"store/{BUCKET}").returncode != 0
    assert store.root("cat", f"store/{BUCKET}/run") == "kept"


def test_a_refused_root_password_ends_in_an_error_that_names_the_address_but_no_password(store: Store):
    store.mount(root_password="plantedWrongPassword")

    start = time.monotonic()
    done = store.run(wait=3)
    took = time.monotonic() - start

    assert done.returncode != 0
    assert took < 20
    assert store.programs.count("mc ls") >= 2  # at once, and again within the seconds it was to wait
    assert f"the object store at {store.url} does not let root in" in done.stderr
    assert "planted" not in done.stdout + done.stderr
    assert store.root("ls", "store") == ""


def test_a_policy_that_cannot_be_read_is_an_error(store: Store):
    store.work.file("policy.json", "{")

    assert store.run().returncode != 0


def test_a_missing_secret_key_is_an_error(store: Store):
    store.mount(secret_key="")

    assert store.run().returncode != 0


def test_a_server_that_comes_up_late_is_waited_for_by_who_has_the_time(down: Store):
    with (
        start_script(SCRIPT, down.env(wait=0), down.work) as impatient,
        start_script(SCRIPT, down.env(wait=20), down.work) as patient,
    ):
        output, errors = impatient.communicate(timeout=20)
        assert impatient.returncode != 0
        assert f"the object store at {down.url} does not let root in" in errors
        assert "connection refused" in errors
        assert "planted" not in output + errors

        # The client tries several times by itself; its second call is the script's own patience.
        wait_until(lambda: down.programs.count("mc ls") == 3, "the script's second try")
        assert patient.poll() is None
        down.start()
        _, errors = patient.communicate(timeout=20)

    assert patient.returncode == 0, errors
    assert down.lets_in(SECRET_KEY)


def test_secrets_are_neither_in_arguments_nor_in_output_nor_left_in_files(store: Store):
    done = store.provision()
    written = [path.read_text(errors="replace") for path in store.home.rglob("*") if path.is_file()]

    assert store.programs.count("mc admin user add") == 1
    assert written  # the client does keep files of its own there
    for text in (store.programs.calls, *written, done.stdout, done.stderr):
        assert "planted" not in text
