"""``make recover``: what stops it before anything is written, and how a stack comes back with its recovery key."""

# ruff: noqa: F811 (fixtures)

import base64
import io
import json
import lzma
import stat
import tarfile
from pathlib import Path

import pytest
import yaml

from ops.lib.backup.recovery_key import RecoveryKey, sealed
from settings import settings_from
from tests.commands.backed_up import CREDENTIALS, PASSPHRASE, TARGET, BackedUp
from tests.commands.test_up import Machine, machine  # noqa: F401 (a fixture)
from tests.conftest import stack

STATE = '{"deployment": {"secret": "planted-in-the-state"}}'
LOST = {
    "flyte-home:clusterUid": "uid-of-the-lost-cluster",
    "kubernetes:context": "lost",
    "kubernetes:kubeconfig": "/lost",
    "flyte-home:backup": TARGET,
}
FETCH = ["create Namespace flyte-recovery", *(f"create {kind} recovery" for kind in ("Secret", "ConfigMap", "Pod"))]
FETCHED = [*FETCH, "delete secret recovery", "delete namespace flyte-recovery"]
DEPLOYED = ["config kubernetes:context k3s", "up dev --context k3s --empty-volumes"]
CLONE = "config: {}\n"


@pytest.fixture
def key() -> RecoveryKey:
    return RecoveryKey.new("dev", settings_from(*stack(backup=TARGET, backupCredentials=CREDENTIALS)), CREDENTIALS)


@pytest.fixture
def bare(machine: Machine, key: RecoveryKey) -> BackedUp:
    """A new machine with a fresh clone, whose cluster reaches the target."""
    found = BackedUp.on(machine)
    for command in ("up", "restore"):
        found.stub(command, command)
    found.file.write_text(CLONE)
    found.set(log=set_for(key.public))
    return found


def set_for(public: str) -> str:
    """What the pod prints of the newest set, whose state a recovery key with this public half opens."""
    files = {"state.json": STATE, "Pulumi.dev.yaml": yaml.safe_dump({"config": LOST}), "passphrase": PASSPHRASE}
    content = io.BytesIO()
    with lzma.open(content, "wb") as compressed, tarfile.open(fileobj=compressed, mode="w") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    lines = base64.encodebytes(sealed(content.getvalue(), public)).decode().split()
    return "\n".join(f"STATE 1 {line}" for line in lines)


def untouched(home: BackedUp) -> bool:
    """Whether the clone is as it was, and Pulumi has imported nothing."""
    program = home.machine.folder / "program"
    return (
        home.file.read_text() == CLONE
        and not (program / ".state" / "passphrase").exists()
        and not (home.machine.folder / "imported").exists()
    )


# --- nothing is written -------------------------------------------------------------------------------------------


def test_a_key_that_is_not_complete_is_rejected_before_the_cluster_is_asked(bare: BackedUp, key: RecoveryKey):
    result, effects = bare.make("recover", "--context", "k3s", given=key.text[:-20])

    assert result.returncode == 1
    assert result.stderr.startswith("FAILED  the recovery key is not complete; it begins with flyte-home-recovery-1-")
    assert key.text[:60] not in result.stdout + result.stderr
    assert effects == []
    assert untouched(bare)


def test_the_key_of_another_generation_opens_nothing_and_changes_nothing(bare: BackedUp):
    other = RecoveryKey.new("dev", settings_from(*stack(backup=TARGET, backupCredentials=CREDENTIALS)), CREDENTIALS)

    result, effects = bare.make("recover", "--context", "k3s", given=other.text)

    assert result.returncode == 1
    assert "was encrypted with another recovery key" in result.stderr
    assert effects == FETCHED
    assert untouched(bare)


def test_a_target_that_cannot_be_one_is_rejected(bare: BackedUp, key: RecoveryKey):
    result, effects = bare.make("recover", "--context", "k3s", "--target", "nas.home/flyte", given=key.text)

    assert result.returncode == 1
    assert result.stderr.startswith("FAILED  TARGET: 'nas.home/flyte' is not a place for backups; write an S3 bucket")
    assert len(result.stderr.splitlines()) == 1
    assert effects == []


def test_a_target_that_does_not_answer_is_named_and_leaves_nothing(bare: BackedUp, key: RecoveryKey):
    says = f"check: flyte-home:backup.target: {TARGET['target']} does not answer; start the server"
    bare.set(phase="Failed", log=says)

    result, effects = bare.make("recover", "--context", "k3s", given=key.text)

    assert result.returncode == 1
    assert result.stderr == f"FAILED  {says}\n"
    assert effects == FETCHED
    assert untouched(bare)


@pytest.mark.parametrize(("context", "says"), [("", "CONTEXT: is empty; write the"), ("typo", "'typo'")])
def test_a_missing_or_unknown_context_is_named(bare: BackedUp, key: RecoveryKey, context: str, says: str):
    result, effects = bare.make("recover", "--context", context, given=key.text)

    assert result.returncode == 1
    assert says in result.stderr
    assert effects == []
    assert untouched(bare)


@pytest.mark.parametrize("there", [".pulumi/stacks/flyte-home/dev.json", "passphrase"])
def test_a_state_that_is_there_already_is_not_replaced(bare: BackedUp, key: RecoveryKey, there: str):
    file = bare.machine.folder / "program" / ".state" / there
    file.parent.mkdir(parents=True)
    file.write_text("planted")

    result, effects = bare.make("recover", "--context", "k3s", given=key.text, PULUMI_BACKEND_URL="")

    assert result.returncode == 1
    assert "has a state already; nothing was changed. Recover in a fresh clone" in result.stderr
    assert effects == []
    assert file.read_text() == "planted"


@pytest.mark.parametrize("name", ["dev", "organization/flyte-home/dev"])
def test_a_stack_in_the_place_that_the_user_has_chosen_is_not_replaced(bare: BackedUp, key: RecoveryKey, name: str):
    bare.set(stacks=["other", name])

    result, effects = bare.make("recover", "--context", "k3s", given=key.text)

    assert result.returncode == 1
    assert "has a stack dev already; nothing was changed" in result.stderr
    assert effects == []


# --- a recovery ---------------------------------------------------------------------------------------------------


def test_a_stack_comes_back_with_nothing_but_its_key(bare: BackedUp, key: RecoveryKey):
    typed = "\n".join(key.text[start : start + 50] for start in range(0, len(key.text), 50))
    result, effects = bare.make(
        "recover", "--context", "k3s", given=typed, PULUMI_BACKEND_URL="", PULUMI_CONFIG_PASSPHRASE=""
    )

    assert result.returncode == 0, result.stderr
    assert effects == [*FETCHED, *DEPLOYED, "restore dev --at latest"]
    assert result.stdout.splitlines()[-1].startswith("ok      the stack dev is back, in ")
    # The pin to the lost cluster is gone.
    assert bare.config == {"kubernetes:context": "k3s", "flyte-home:backup": TARGET}
    assert (bare.machine.folder / "imported").read_text() == STATE
    passphrase = bare.machine.folder / "program" / ".state" / "passphrase"
    assert passphrase.read_text() == PASSPHRASE
    assert stat.S_IMODE(passphrase.stat().st_mode) == 0o600
    log = Path(bare.machine.folder / "log").read_text()
    for secret in (key.text, key.private, key.password, CREDENTIALS, PASSPHRASE):
        assert secret not in log + result.stdout + result.stderr


def test_a_target_that_has_moved_is_used_and_written_into_the_stack_file(bare: BackedUp, key: RecoveryKey):
    moved = "s3:https://other.home:9000/bucket/flyte"

    result, effects = bare.make("recover", "--context", "k3s", "--at", "a1b2", "--target", moved, given=key.text)

    assert result.returncode == 0, result.stderr
    assert effects[-1] == "restore dev --at a1b2"
    assert bare.config["flyte-home:backup"]["target"] == moved
    (pod,) = [one for one in bare.world["created"] if one["kind"] == "Pod"]
    variables = {one["name"]: one["value"] for one in pod["spec"]["containers"][0]["env"]}
    assert (variables["TARGET"], variables["AT"]) == (moved, "a1b2")
    assert not [one for one in (key.password, CREDENTIALS) if one in json.dumps(pod)]


@pytest.mark.parametrize("fails", ["up", "restore"])
def test_a_step_that_fails_says_how_to_go_on_with_the_state_in_place(bare: BackedUp, key: RecoveryKey, fails: str):
    bare.let_fail(fails)

    result, effects = bare.make("recover", "--context", "k3s", given=key.text)

    assert result.returncode == 1
    assert "go on with make up EMPTY_VOLUMES=yes and make restore" in result.stderr
    assert effects == [*FETCHED, *DEPLOYED, *(["restore dev --at latest"] if fails == "restore" else [])]
    assert (bare.machine.folder / "imported").read_text() == STATE
