"""Pulumi's state in the sets: encrypted into the cluster, and fetched on a machine that has only the recovery key."""

import base64
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from ops.lib.backup import sealed_state
from ops.lib.backup.fetched_state import fetched_state
from ops.lib.backup.recovery_key import RecoveryKey
from ops.lib.backup.sealed_state import forget_state, keep_state, passphrase_of
from settings.errors import SettingsError
from settings.images import IMAGES
from tests.commands.backed_up import CREDENTIALS, TARGET
from tests.kubectl import FakeCluster, settings

STACK_FILE = "config:\n  flyte-home:clusterUid: lost\n"
ENVIRONMENT = {"PULUMI_CONFIG_PASSPHRASE": "planted-passphrase"}
IMAGE = IMAGES["restic"].reference


@dataclass(frozen=True)
class Target(FakeCluster):
    """A cluster that keeps ConfigMaps by name, and whose pod prints the parts of a set."""

    parts: dict[str, str] = field(default_factory=dict)
    """Parts of the sealed state in base64, by name of their ConfigMap."""
    created: list[dict[str, Any]] = field(default_factory=list)
    effects: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    phases: list[str] = field(default_factory=lambda: ["Pending", "Succeeded"])

    def run(self, *arguments: str, given: str = "", seconds: float = 20) -> subprocess.CompletedProcess[str]:
        rejected = super().run(*arguments, given=given, seconds=seconds)
        if not rejected.stderr.startswith("unexpected:"):
            return rejected
        out = ""
        match arguments:
            case "apply", *_:
                found = {one["metadata"]["name"]: one["binaryData"]["part"] for one in json.loads(given)["items"]}
                self.parts.update(found)
            case "delete", *names:
                self.effects.append(" ".join(["delete", *(one for one in names if not one.startswith("--"))]))
                for name in names:
                    self.parts.pop(name.removeprefix("configmap/"), None)
            case "create", *_:
                content = json.loads(given)
                self.created.extend(content.get("items", [content]))
                self.effects.append(f"create {content['kind']}")
            case "get", "pod", *_:
                phase = self.phases.pop(0) if len(self.phases) > 1 else self.phases[0]
                waiting = {"reason": "ErrImagePull", "message": "no such image"} if phase == "Pending" else {}
                out = json.dumps({"status": {"phase": phase, "containerStatuses": [{"state": {"waiting": waiting}}]}})
            case "logs", *_:
                out = "\n".join(self.log)
        return subprocess.CompletedProcess(arguments, 0, out, "")

    def made_for(self, kind: str) -> dict[str, Any]:
        (found,) = [one for one in self.created if one["kind"] == kind]
        return found


@pytest.fixture(autouse=True)
def _machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Pulumi.dev.yaml").write_text(STACK_FILE)
    monkeypatch.setattr(sealed_state, "ROOT", tmp_path)
    monkeypatch.setattr("ops.lib.backup.fetched_state.time.sleep", lambda _: None)


def new_key() -> RecoveryKey:
    return RecoveryKey.new("dev", settings(backup=TARGET, backupCredentials=CREDENTIALS), CREDENTIALS)


def kept(
    key: RecoveryKey, state: str, cluster: Target, monkeypatch: pytest.MonkeyPatch, environment: Mapping[str, str]
) -> Target:
    """The cluster after the state was encrypted into it."""
    monkeypatch.setattr(sealed_state, "pulumi", lambda *_: state)
    chosen = settings(backup={**TARGET, "recoveryKey": key.public}, backupCredentials=CREDENTIALS)
    keep_state(environment, "dev", chosen, cluster)
    return cluster


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> tuple[RecoveryKey, Target]:
    """A key, and a cluster with a sealed state of three parts."""
    monkeypatch.setattr(sealed_state, "_PART", 1000)
    key = new_key()
    return key, kept(key, os.urandom(1600).hex(), Target(), monkeypatch, ENVIRONMENT)


def stored(parts: Mapping[str, str]) -> list[str]:
    """What the pod prints of a set with these parts, as scripts/backup/check.sh does."""
    lines = []
    for name, part in parts.items():
        text = base64.encodebytes(base64.b64decode(part)).decode()
        lines += [f"STATE {name.rpartition('-')[2]} {line}" for line in text.split()]
    return ["check: opening", *lines, 'RESULT {"id": "a1"}']


def fetched(key: RecoveryKey, parts: Mapping[str, str], at: str = "latest") -> dict[str, bytes]:
    return fetched_state(Target(log=stored(parts)), key, at, IMAGE)


# --- into the cluster and back ------------------------------------------------------------------------------------


def test_state_stack_file_and_passphrase_come_back(monkeypatch: pytest.MonkeyPatch):
    key = new_key()
    cluster = kept(key, '{"deployment": "planted-state"}', Target(), monkeypatch, ENVIRONMENT)

    files = fetched(key, cluster.parts)

    assert files["state.json"] == b'{"deployment": "planted-state"}'
    assert files["Pulumi.dev.yaml"].decode() == STACK_FILE
    assert files["passphrase"] == b"planted-passphrase"
    assert [*cluster.parts] == ["backup-state-1"]
    assert b"planted" not in base64.b64decode(cluster.parts["backup-state-1"])


def test_a_state_of_megabytes_is_split_into_parts_that_a_config_map_can_hold(monkeypatch: pytest.MonkeyPatch):
    key, state = new_key(), base64.b64encode(os.urandom(1_600_000)).decode()

    cluster = kept(key, state, Target(), monkeypatch, {})

    assert [*cluster.parts] == ["backup-state-1", "backup-state-2", "backup-state-3"]
    assert max(map(len, cluster.parts.values())) < 1 << 20
    files = fetched(key, cluster.parts)
    assert files["state.json"].decode() == state
    assert "passphrase" not in files


def test_a_state_that_has_no_room_in_a_set_is_rejected_and_nothing_is_written(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sealed_state, "_PART", 100)
    cluster = Target()

    with pytest.raises(
        SettingsError, match=r"a set has room for 800: keep the state .* flyte-home:backup\.recoveryKey"
    ):
        kept(new_key(), os.urandom(1600).hex(), cluster, monkeypatch, {})
    assert cluster.parts == {}


def test_parts_of_a_larger_state_of_earlier_are_deleted(
    small: tuple[RecoveryKey, Target], monkeypatch: pytest.MonkeyPatch
):
    key, cluster = small
    assert len(cluster.parts) > 1

    kept(key, "{}", cluster, monkeypatch, {})

    assert [*cluster.parts] == ["backup-state-1"]
    assert fetched(key, cluster.parts)["state.json"] == b"{}"
    forget_state(cluster, "flyte")
    assert cluster.parts == {}


def test_a_part_of_earlier_that_cannot_be_deleted_is_an_error(monkeypatch: pytest.MonkeyPatch):
    cluster = Target()
    cluster.on("delete", error="forbidden")

    with pytest.raises(SettingsError, match="an earlier encrypted state cannot be deleted: forbidden"):
        kept(new_key(), "{}", cluster, monkeypatch, {})


def test_a_cluster_that_does_not_take_the_state_is_an_error(monkeypatch: pytest.MonkeyPatch):
    cluster = Target()
    cluster.on("apply", error="connection refused")

    with pytest.raises(SettingsError, match=r"the encrypted state cannot be written .*: connection refused"):
        kept(new_key(), "{}", cluster, monkeypatch, {})


@pytest.mark.parametrize("backup", [{}, TARGET])
def test_without_a_target_or_a_key_nothing_is_exported_or_written(
    backup: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sealed_state, "pulumi", lambda *_: pytest.fail("exported"))
    cluster = Target()

    keep_state(ENVIRONMENT, "dev", settings(backup=backup, backupCredentials=CREDENTIALS if backup else None), cluster)

    assert (cluster.parts, cluster.effects) == ({}, [])


def test_the_passphrase_is_that_of_the_environment_or_of_its_file(tmp_path: Path):
    (tmp_path / "passphrase").write_text("of the file\n")
    path = {"PULUMI_CONFIG_PASSPHRASE_FILE": str(tmp_path / "passphrase")}

    assert passphrase_of(ENVIRONMENT | path) == "planted-passphrase"
    assert passphrase_of(path) == "of the file"
    assert passphrase_of({"PULUMI_CONFIG_PASSPHRASE_FILE": str(tmp_path / "missing")}) == ""
    assert passphrase_of({}) == ""


# --- what is noticed ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["1", "2", "3"])
def test_a_missing_part_is_noticed(small: tuple[RecoveryKey, Target], missing: str):
    key, cluster = small
    parts = {name: part for name, part in cluster.parts.items() if not name.endswith(missing)}

    assert len(parts) == len(cluster.parts) - 1
    with pytest.raises(SettingsError, match="or it is damaged"):
        fetched(key, parts)


def test_parts_of_two_states_are_noticed(small: tuple[RecoveryKey, Target], monkeypatch: pytest.MonkeyPatch):
    key, cluster = small
    other = kept(key, os.urandom(1600).hex(), Target(), monkeypatch, ENVIRONMENT)

    with pytest.raises(SettingsError, match="or it is damaged"):
        fetched(key, cluster.parts | {"backup-state-2": other.parts["backup-state-2"]})


def test_parts_in_another_order_in_the_log_are_put_together_and_exchanged_ones_are_noticed(
    small: tuple[RecoveryKey, Target],
):
    key, cluster = small
    first, second = cluster.parts["backup-state-1"], cluster.parts["backup-state-2"]

    assert fetched(key, dict(reversed(cluster.parts.items())))["Pulumi.dev.yaml"].decode() == STACK_FILE
    with pytest.raises(SettingsError, match="or it is damaged"):
        fetched(key, cluster.parts | {"backup-state-1": second, "backup-state-2": first})


def test_another_key_does_not_open_the_state(small: tuple[RecoveryKey, Target]):
    with pytest.raises(SettingsError, match="another recovery key"):
        fetched(new_key(), small[1].parts)


# --- the pod that fetches it --------------------------------------------------------------------------------------


def test_nothing_of_the_pod_remains_and_no_secret_is_in_its_specification(small: tuple[RecoveryKey, Target]):
    key, kept_there = small
    cluster = Target(log=stored(kept_there.parts))
    cluster.on("get namespace flyte-recovery", error="NotFound")

    fetched_state(cluster, key, "a1b2", IMAGE)

    deleted = [f"delete {kind} recovery" for kind in ("pod", "secret", "configmap")]
    assert cluster.effects == ["create Namespace", "create List", *deleted, "delete namespace flyte-recovery"]
    namespace = cluster.made_for("Namespace")["metadata"]["labels"]
    assert namespace["pod-security.kubernetes.io/enforce"] == "restricted"
    pod, secret = cluster.made_for("Pod"), cluster.made_for("Secret")["data"]
    variables = {one["name"]: one["value"] for one in pod["spec"]["containers"][0]["env"]}
    assert (variables["ACTION"], variables["AT"], variables["STACK"]) == ("state", "a1b2", "dev")
    assert base64.b64decode(secret["password"]).decode() == key.password
    assert base64.b64decode(secret["credentials"]).decode() == f"{CREDENTIALS}\n"
    for text in (json.dumps(pod), json.dumps(cluster.made_for("ConfigMap"))):
        assert not [one for one in (key.private, key.password, CREDENTIALS) if one in text]


def test_a_namespace_that_was_there_before_stays_without_the_secret_even_if_the_pod_is_rejected():
    cluster = Target()
    cluster.on("create", error="pods is forbidden: exceeded quota")

    with pytest.raises(SettingsError, match="a pod cannot be created in flyte-recovery: pods is forbidden"):
        fetched_state(cluster, new_key(), "latest", IMAGE)
    assert "delete secret recovery" in cluster.effects
    assert "delete namespace flyte-recovery" not in cluster.effects


def test_a_claim_is_mounted_as_the_target():
    cluster = Target(phases=["Failed"], log=["check: there is no backup"])

    with pytest.raises(SettingsError):
        fetched_state(cluster, replace(new_key(), target="claim:nas/flyte"), "latest", IMAGE)
    spec = cluster.made_for("Pod")["spec"]
    assert {"name": "target", "persistentVolumeClaim": {"claimName": "nas"}} in spec["volumes"]
    assert {"name": "TARGET", "value": "/target/flyte"} in spec["containers"][0]["env"]


def test_a_pod_that_fails_ends_with_what_it_said_and_without_parts_of_the_state(small: tuple[RecoveryKey, Target]):
    says = "check: flyte-home:backup.target: the repository has another password"
    cluster = Target(phases=["Failed"], log=[*stored(small[1].parts)[:5], says])

    with pytest.raises(SettingsError) as error:
        fetched_state(cluster, small[0], "latest", IMAGE)

    assert says in str(error.value)
    assert "STATE" not in str(error.value)


def test_a_pod_that_never_starts_is_given_up_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("ops.lib.backup.fetched_state._SECONDS", -1)

    with pytest.raises(SettingsError, match="does not end: ErrImagePull: no such image"):
        fetched_state(Target(phases=["Pending"]), new_key(), "latest", IMAGE)
    assert capsys.readouterr().out == "  waiting: ErrImagePull: no such image\n"
