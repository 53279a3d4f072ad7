"""The check of an external object store, on a real one: with users and policies like those of docs/outgrowing.md."""

import http.server
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest
import trustme

from tests.processes import Workspace, free_port, serving, workspace
from tests.scripts.conftest import Programs, run_script, start_script, tools
from tests.scripts.store import (
    BUCKET,
    ROOT_PASSWORD,
    SECRET_KEY,
    USER,
    Store,
    TaskScope,
    key_of,
    project,
    stopped_store,
    user_of,
)
from tests.tools import require

OWN, OTHERS = project("remedy", "development"), project("remedy", "production")
REGION = "eu-home"
ENDPOINT, KEY = "flyte-home:minio.external.endpoint", "flyte-home:objectStoreKey"


@dataclass
class Check:
    """What the Job of the check mounts, and the script, run as the Job runs it."""

    work: Workspace
    url: str
    region: str = REGION
    buckets: Sequence[str] = (BUCKET, OWN.bucket, OTHERS.bucket)
    scopes: Sequence[TaskScope] = (OWN, OTHERS)
    keys: dict[str, tuple[str, str]] = field(
        default_factory=lambda: {
            "flyte": (USER, SECRET_KEY),
            **{f"{one.project}-{one.domain}": (user_of(one), key_of(one)) for one in (OWN, OTHERS)},
        }
    )
    authority: str = ""
    wait: int = 0

    def __post_init__(self) -> None:
        programs = {"mc": str(require("mc"))} | tools("cat", "date", "sleep")
        self.programs = Programs(self.work, programs)
        self.folders = {name: self.work.folder(name) for name in ("keys", "scripts", "tmp", "trust")}

    @property
    def env(self) -> dict[str, str]:
        for name, (access, secret) in self.keys.items():
            (self.folders["keys"] / f"{name}.access").write_text(access)
            (self.folders["keys"] / f"{name}.secret").write_text(secret)
        (self.folders["scripts"] / "buckets").write_text("".join(f"{name}\n" for name in self.buckets))
        lines = [f"{one.project}-{one.domain} {one.bucket} {one.project} {one.domain}\n" for one in self.scopes]
        (self.folders["scripts"] / "scopes").write_text("".join(lines))
        (self.folders["trust"] / "ca.pem").write_text(self.authority)
        return {
            "PATH": str(self.programs.path),
            "STORE_URL": self.url,
            "MC_REGION": self.region,
            "KEYS": str(self.folders["keys"]),
            "SCRIPTS": str(self.folders["scripts"]),
            "WORK": str(self.folders["tmp"]),
            "HOME": str(self.folders["tmp"]),
            "SSL_CERT_DIR": str(self.folders["trust"]),
            "WAIT": str(self.wait),
            "PATIENCE": "15",
        }

    def run(self) -> subprocess.CompletedProcess[str]:
        """Run the script to its end."""
        return run_script("store/check.sh", self.env, self.work, timeout=60)

    def message(self) -> str:
        """The only line that the script complains with; it must fail."""
        done = self.run()
        assert done.returncode == 1, done.stdout
        (line,) = done.stderr.splitlines()
        assert line.startswith("store-check: ")
        assert line.endswith(". Nothing was changed")
        assert "planted" not in line
        return line.removeprefix("store-check: ")


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    """A store with a region of its own, and with the buckets, users and policies of two task scopes."""
    with stopped_store() as made:
        made.start(region=REGION)
        made.mount(projects=[OWN, OTHERS])
        made.provision()
        yield made


@pytest.fixture
def check(store: Store) -> Iterator[Check]:
    with workspace() as work:
        yield Check(work, store.url)


def objects(store: Store) -> str:
    return "".join(store.root("ls", "--recursive", f"store/{bucket}") for bucket in (BUCKET, OWN.bucket, OTHERS.bucket))


def test_a_store_with_users_and_policies_passes_without_a_warning_and_is_left_as_it_was(store: Store, check: Check):
    before = objects(store)

    done = check.run()

    assert done.returncode == 0, done.stderr
    assert done.stdout == "store-check: the store has every bucket, and every key opens what it must\n"
    assert objects(store) == before


def test_no_key_is_an_argument_of_a_program_or_in_the_log(check: Check):
    done = check.run()

    assert "mc" in check.programs.calls
    assert "planted" not in check.programs.calls + done.stdout + done.stderr


def test_what_a_key_opens_beyond_its_own_data_is_said(check: Check):
    """As in a store that has keys, but no policies."""
    check.keys = dict.fromkeys(check.keys, ("root", ROOT_PASSWORD))

    warnings = [line for line in check.run().stdout.splitlines() if line.startswith("warning: ")]

    assert sorted(warnings) == sorted(
        [
            f"warning: {KEY}-remedy-development also opens the bucket remedy-production of project remedy in domain "
            "production",
            f"warning: {KEY}-remedy-development also lists the metadata of project remedy in domain production in the "
            "bucket flyte",
            f"warning: {KEY}-remedy-production also opens the bucket remedy-development of project remedy in domain "
            "development",
            f"warning: {KEY}-remedy-production also lists the metadata of project remedy in domain development in the "
            "bucket flyte",
        ]
    )


def test_with_one_key_for_all_only_that_one_is_tried(check: Check):
    check.scopes, check.keys = (), {"flyte": check.keys["flyte"]}

    assert check.run().returncode == 0


def test_without_keys_only_the_buckets_are_looked_for(check: Check):
    check.scopes, check.keys = (), {}
    done = check.run()

    assert done.returncode == 0, done.stderr
    assert "whether the roles open them is not checked" in done.stdout


@pytest.mark.parametrize("buckets", [("flyte", "photos", "more-photos"), ("photos", "flyte", "more-photos")])
def test_missing_buckets_are_all_in_one_message(check: Check, buckets: Sequence[str]):
    check.buckets, check.scopes = buckets, ()
    check.keys["flyte"] = ("root", ROOT_PASSWORD)

    said = check.message()

    assert said.startswith("flyte-home:minio.bucket and flyte-home:minio.dataBucket: ")
    assert "has no bucket named photos more-photos; create what is missing" in said


def test_buckets_that_a_key_without_further_rights_does_not_see_are_all_in_one_message(check: Check):
    check.buckets = (*check.buckets, "photos", "more-photos")

    assert check.message().startswith(f"{KEY}: the key may not list photos more-photos; create what is missing, or")


class OfAws(http.server.BaseHTTPRequestHandler):
    """Answers requests without a key as AWS does: it tells closed buckets from missing ones."""

    def do_GET(self) -> None:
        status, code = (403, "AccessDenied") if self.path.startswith("/flyte") else (404, "NoSuchBucket")
        body = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        pass


def test_with_roles_a_missing_bucket_is_found_without_a_key(check: Check):
    check.buckets, check.scopes, check.keys = ("flyte", "photos"), (), {}
    with serving(OfAws) as address:
        check.url = address
        assert "has no bucket named photos;" in check.message()


def test_a_wrong_region_is_reported_with_the_right_one(check: Check):
    check.region = "us-east-1"

    said = check.message()

    assert said.startswith("flyte-home:minio.external.region: us-east-1 is not the region of the store")
    assert REGION in said


@pytest.mark.parametrize(
    ("user", "key", "setting", "says"),
    [
        ("flyte", ("nobody", SECRET_KEY), KEY, "does not know its access key"),
        ("flyte", (USER, "plantedWrongKey1"), KEY, "rejects its secret key"),
        ("remedy-production", (user_of(OTHERS), "plantedWrongKey1"), f"{KEY}-remedy-production", "its secret key"),
        ("remedy-production", (user_of(OWN), key_of(OWN)), f"{KEY}-remedy-production", "may not list in the bucket"),
        ("flyte", (user_of(OWN), key_of(OWN)), KEY, "may not list flyte remedy-production; create what is missing"),
    ],
)
def test_a_wrong_key_is_reported_with_its_setting(
    check: Check, user: str, key: tuple[str, str], setting: str, says: str
):
    check.keys[user] = key

    said = check.message()

    assert said.startswith(f"{setting}: ")
    assert says in said


def test_a_key_that_may_only_read_is_reported(store: Store, check: Check):
    store.root("admin", "user", "add", "store", "reader", "plantedReaderKey1")
    store.root("admin", "policy", "attach", "store", "readonly", "--user", "reader")
    store.root("admin", "policy", "attach", "store", user_of(OTHERS), "--user", "reader")
    check.keys["flyte"] = ("reader", "plantedReaderKey1")

    assert check.message().startswith(f"{KEY}: the key may not ")


def test_a_port_at_which_nothing_listens_is_reported(check: Check):
    check.url = f"http://127.0.0.1:{free_port()}"

    assert check.message().startswith(f"{ENDPOINT}: {check.url} refuses connections")


def test_a_name_that_does_not_exist_is_reported(check: Check):
    check.url = "http://no-such-host.invalid:9000"

    assert check.message().startswith(f"{ENDPOINT}: {check.url} cannot be resolved")


def test_tls_to_a_server_without_it_is_reported(check: Check):
    check.url = check.url.replace("http://", "https://")

    assert "speaks no TLS; write http://" in check.message()


class NoStore(http.server.BaseHTTPRequestHandler):
    """A server of something else."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>Welcome</html>")

    def log_message(self, *_args: object) -> None:
        pass


def test_a_server_that_is_no_store_is_reported(check: Check):
    with serving(NoStore) as address:
        check.url = address
        assert check.message().startswith(f"{ENDPOINT}: {address} is no S3 store")


def test_a_store_that_starts_late_is_waited_for(store: Store, check: Check):
    check.wait = 60
    store.stop()
    try:
        with start_script("store/check.sh", check.env, check.work) as process:
            assert process.stdout
            assert "waiting for" in process.stdout.readline()
            store.start(region=REGION)
            output, errors = process.communicate(timeout=60)
    finally:
        if store.answers("/minio/health/ready") is None:
            store.start(region=REGION)

    assert process.returncode == 0, errors
    assert "every key opens what it must" in output


# --- TLS ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def over_tls(authority: trustme.CA) -> Iterator[Store]:
    with stopped_store() as made:
        made.start(authority)
        yield made


@pytest.fixture
def tls_check(over_tls: Store) -> Iterator[Check]:
    """The check with the root key, because only the way to the store matters here."""
    with workspace() as work:
        yield Check(work, over_tls.url, buckets=["missing"], scopes=(), keys={"flyte": ("root", ROOT_PASSWORD)})


def test_the_certificate_of_a_private_authority_opens_the_way(tls_check: Check, authority: trustme.CA):
    tls_check.authority = authority.cert_pem.bytes().decode()

    assert "has no bucket named missing" in tls_check.message()


@pytest.mark.parametrize("another", [True, False], ids=["another authority", "none"])
def test_a_wrong_authority_is_reported(tls_check: Check, another: bool):
    tls_check.authority = trustme.CA().cert_pem.bytes().decode() if another else ""

    assert tls_check.message().startswith("flyte-home:minio.external.certificateAuthority: it did not sign")


def test_a_certificate_for_another_name_is_reported(tls_check: Check, authority: trustme.CA):
    tls_check.authority = authority.cert_pem.bytes().decode()
    tls_check.url = tls_check.url.replace("127.0.0.1", "localhost")

    assert "its certificate is not accepted" in tls_check.message()


def test_no_tls_to_a_server_that_has_it_is_reported(tls_check: Check):
    tls_check.url = tls_check.url.replace("https://", "http://")

    assert "speaks TLS; write https://" in tls_check.message()
