"""The settings of the backup: what a target may be, what opens it, and the messages about wrong values."""

from typing import Any

import pytest

from ops.lib.backup.recovery_key import RecoveryKey
from settings import rules, settings_from
from settings.backup import BackupSettings
from settings.errors import SettingsError
from tests.conftest import stack

S3 = {"target": "s3:https://nas.home:9000/bucket/flyte", "accessKeyId": "flyte-backup"}
HOST_KEY = "nas.home ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI"
SFTP = {"target": "sftp://backup@nas.home//volume1/flyte", "knownHosts": [HOST_KEY]}
CLAIM = {"target": "claim:nas"}
STORE_SECRET = "planted-store-secret"
# In parts, so that no scanner takes it for a key.
SSH_KEY = (
    "\n".join(f"-----{edge} OPENSSH PRIVATE KEY-----" for edge in ("BEGIN", "END")).replace("\n", "\nplanted\n") + "\n"
)


def load(backup: dict[str, Any], credentials: str | None = STORE_SECRET, **others: Any) -> BackupSettings:
    """The accepted settings of the backup."""
    return settings_from(*stack(backup=backup, backupCredentials=credentials, **others)).backup


def problems(backup: dict[str, Any], credentials: str | None = STORE_SECRET, **others: Any) -> tuple[str, ...]:
    """The messages about settings that are rejected."""
    with pytest.raises(SettingsError) as rejected:
        load(backup, credentials, **others)
    return rejected.value.problems


def warnings(**settings: Any) -> list[str]:
    """The warnings about the backup."""
    return [one for one in rules.warnings(settings_from(*stack(**settings))) if "flyte-home:backup" in one]


# --- the target ---------------------------------------------------------------------------------------------------


def test_without_a_target_there_is_no_backup():
    settings = settings_from(*stack())

    assert (settings.backup.kind, settings.backup.host, settings.backup.port, settings.backup.claim) == (
        "none",
        "",
        0,
        "",
    )
    assert settings.drill_namespace == ""
    assert settings.namespaces[0] == "flyte"
    assert "flyte-drill" not in settings.namespaces


@pytest.mark.parametrize(
    ("target", "host", "port"),
    [
        ("s3:https://nas.home:9000/bucket/flyte", "nas.home", 9000),
        ("s3:https://s3.example.com/bucket", "s3.example.com", 443),
        ("s3:http://192.168.1.20/bucket", "192.168.1.20", 80),
    ],
)
def test_an_s3_target_has_a_host_and_a_port_and_is_the_repository(target: str, host: str, port: int):
    backup = load({**S3, "target": target})

    assert (backup.kind, backup.repository, backup.host, backup.port) == ("s3", target, host, port)
    assert backup.claim == ""


@pytest.mark.parametrize(
    ("target", "host", "port"),
    [
        ("sftp://backup@nas.home//volume1/flyte", "nas.home", 22),
        ("sftp://backup@192.168.1.20:2222//volume1/flyte", "192.168.1.20", 2222),
    ],
)
def test_an_sftp_target_has_a_host_and_a_port_and_is_the_repository(target: str, host: str, port: int):
    backup = load({**SFTP, "target": target}, SSH_KEY)

    assert (backup.kind, backup.repository, backup.host, backup.port) == ("sftp", target, host, port)


@pytest.mark.parametrize(
    ("target", "repository"), [("claim:nas", "/target/flyte-home"), ("claim:nas/home/flyte", "/target/home/flyte")]
)
def test_a_claim_is_mounted_and_the_repository_is_a_folder_of_it(target: str, repository: str):
    backup = load({"target": target}, None)

    assert (backup.kind, backup.claim, backup.repository) == ("claim", "nas", repository)
    assert (backup.host, backup.port) == ("", 0)


def test_a_slash_at_the_end_of_a_target_does_not_make_it_another_repository():
    assert load({**S3, "target": "s3:https://nas.home:9000/bucket/flyte/"}).repository == S3["target"]


@pytest.mark.parametrize(
    "target",
    [
        "/mnt/backup",
        "nas.home:/backup",
        "s3:nas.home/bucket",
        "s3:https://nas.home",
        "s3:https://nas.home/",
        "s3:https://nas.home:99999/bucket",
        "s3:https://nas.home:0/bucket",
        "s3:http://192.168.1.999/bucket",
        "s3:https://nas.home/bucket/../other",
        "s3:https://key:planted@nas.home/bucket",
        "sftp://nas.home//backup",
        "sftp://backup@nas.home/relative",
        "sftp://backup:planted@nas.home//backup",
        "claim:",
        "claim:Upper",
        "claim:-nas",
        "claim:nas/../other",
        "rest:https://nas.home/",
    ],
)
def test_a_target_that_restic_could_not_open_is_rejected_with_an_example(target: str):
    (message,) = problems({**S3, "target": target})

    assert message.startswith("flyte-home:backup.target: ")
    assert message.endswith("pulumi config set --path flyte-home:backup.target s3:https://nas.home:9000/bucket/flyte")
    assert "planted" not in message


def test_a_harmless_target_is_shown():
    (message,) = problems({**S3, "target": "/mnt/backup"})

    assert "'/mnt/backup' is not a place for backups" in message


@pytest.mark.parametrize("host", ["minio", "minio.flyte", "minio.flyte.svc", "minio.flyte.svc.cluster.local"])
@pytest.mark.parametrize("written", [str.lower, str.upper])
def test_the_stacks_own_object_store_is_not_a_target(host: str, written: Any):
    (message,) = problems({**S3, "target": f"s3:http://{written(host)}:9000/bucket"})

    assert message == (
        "flyte-home:backup.target: is the stack's own object store, which is lost with what it should restore; choose "
        "a server on another disk"
    )


@pytest.mark.parametrize("claim", ["postgres-data", "postgres-data-2", "minio-data", "backup-work"])
def test_a_volume_of_the_stack_is_not_a_target(claim: str):
    (message,) = problems({"target": f"claim:{claim}/backups"}, None)

    assert message.startswith(f"flyte-home:backup.target: '{claim}' is a volume of the stack itself")
    assert message.endswith("choose a claim on another disk")


def test_the_object_store_of_another_stack_is_a_target():
    assert load({**S3, "target": "s3:http://minio.other.svc:9000/bucket"}).host == "minio.other.svc"


# --- what opens it ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("credentials", [None, "  ", "planted secret"])
def test_an_s3_target_needs_a_secret_key_without_blanks(credentials: str | None):
    (message,) = problems(S3, credentials)

    assert message == (
        "flyte-home:backupCredentials: is missing, or not a secret key of S3; write pulumi config set --secret "
        "flyte-home:backupCredentials"
    )


def test_an_s3_target_needs_an_access_key():
    (message,) = problems({"target": S3["target"]})

    assert message == (
        "flyte-home:backup.accessKeyId: is empty; write pulumi config set --path flyte-home:backup.accessKeyId "
        "flyte-backup"
    )


@pytest.mark.parametrize("credentials", [None, "planted", "-----BEGIN OPENSSH PRIVATE KEY-----\nplanted", HOST_KEY])
def test_an_sftp_target_needs_a_private_key(credentials: str | None):
    (message,) = problems(SFTP, credentials)

    assert message == (
        "flyte-home:backupCredentials: is missing, or not a private SSH key; write pulumi config set --secret "
        "flyte-home:backupCredentials < ~/.ssh/key-for-backups"
    )


def test_an_sftp_target_needs_the_key_of_its_host():
    (message,) = problems({"target": "sftp://backup@nas.home:2222//volume1/flyte"}, SSH_KEY)

    assert message.startswith("flyte-home:backup.knownHosts: is empty, so any server could pose as nas.home")
    assert "ssh-keyscan -p 2222 nas.home" in message
    assert message.endswith("pulumi config set --path 'flyte-home:backup.knownHosts[0]' LINE")


@pytest.mark.parametrize("line", ["nas.home", "ssh-ed25519 AAAA", "nas.home ssh-ed25519", SSH_KEY])
def test_a_line_that_is_no_host_key_is_rejected(line: str):
    (message,) = problems({**SFTP, "knownHosts": [HOST_KEY, line]}, SSH_KEY)

    assert message.startswith("flyte-home:backup.knownHosts[1]: ")
    assert "write what ssh-keyscan prints for the server, such as nas.home ssh-ed25519 AAAA..." in message
    assert "planted" not in message


@pytest.mark.parametrize(
    "line",
    [HOST_KEY, f"[nas.home]:2222 {HOST_KEY.partition(' ')[2]}", f"{HOST_KEY} a comment", "|1|a=|b= ssh-rsa AA=="],
)
def test_host_keys_are_read_as_ssh_keyscan_prints_them(line: str):
    assert load({**SFTP, "knownHosts": [line]}, SSH_KEY).known_hosts == [line]


@pytest.mark.parametrize(("backup", "why"), [(CLAIM, "is a claim"), ({}, "is empty")])
def test_credentials_that_open_nothing_are_rejected(backup: dict[str, Any], why: str):
    (message,) = problems(backup)

    assert message == (
        f"flyte-home:backupCredentials: has no effect, because flyte-home:backup.target {why}; write pulumi config rm "
        "flyte-home:backupCredentials"
    )


@pytest.mark.parametrize(
    ("key", "value", "kind"),
    [
        ("accessKeyId", "flyte-backup", "S3"),
        ("region", "eu-central-1", "S3"),
        ("certificateAuthority", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "S3"),
        ("knownHosts", [HOST_KEY], "SFTP"),
    ],
)
def test_a_setting_of_another_kind_of_target_is_rejected(key: str, value: Any, kind: str):
    (message,) = problems({**CLAIM, key: value}, None)

    assert message == (
        f"flyte-home:backup.{key}: is only for {kind}, and flyte-home:backup.target is not; leave it out: "
        f"pulumi config rm --path flyte-home:backup.{key}"
    )


def test_credentials_in_plain_text_are_rejected():
    config, secrets = stack(backup=S3, backupCredentials=STORE_SECRET)

    with pytest.raises(SettingsError) as rejected:
        settings_from(config, secrets - {"flyte-home:backupCredentials"})

    (message,) = rejected.value.problems
    assert message.startswith("flyte-home:backupCredentials: ")
    assert "planted" not in message


# --- single values ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["schedule", "checkSchedule", "drillSchedule"])
@pytest.mark.parametrize("value", ["daily", "@daily", "* * * *", "61 3 * * *", "0 3 * * * *", "0 3 32 * *"])
def test_a_schedule_that_cron_does_not_have_is_rejected(key: str, value: str):
    (message,) = problems({**S3, key: value})

    assert message.startswith(f"flyte-home:backup.{key}: ")
    assert f"pulumi config set --path flyte-home:backup.{key} '" in message


@pytest.mark.parametrize("key", ["schedule", "checkSchedule"])
def test_only_the_rehearsal_may_have_no_schedule(key: str):
    assert load({**S3, "drillSchedule": ""}).drill_schedule == ""
    assert problems({**S3, key: ""})[0].startswith(f"flyte-home:backup.{key}: ''")


@pytest.mark.parametrize("value", ["17 3 * * *", "*/20 1-4 1,15 * mon-fri", "0 0 * * 0"])
def test_a_schedule_of_cron_is_accepted(value: str):
    assert load({**S3, "schedule": value, "drillSchedule": value}).schedule == value


@pytest.mark.parametrize(
    ("key", "value", "remedy"),
    [
        ("timeZone", "Berlin; rm", "pulumi config set --path flyte-home:backup.timeZone Europe/Berlin"),
        ("region", "EU West", "pulumi config set --path flyte-home:backup.region eu-central-1"),
        ("accessKeyId", "planted secret", "pulumi config set --path flyte-home:backup.accessKeyId flyte-backup"),
        ("certificateAuthority", "planted", "write the text from BEGIN CERTIFICATE to END CERTIFICATE"),
        ("certificateAuthority", SSH_KEY, "write the text from BEGIN CERTIFICATE to END CERTIFICATE"),
        ("recoveryKey", "flyte-home-recovery-1-planted", "let make backup-key write it"),
        ("keep", {"daily": 0, "weekly": 0, "monthly": 0}, "pulumi config set --path flyte-home:backup.keep.daily 7"),
        ("prune", "perhaps", "pulumi config set --path flyte-home:backup.prune true"),
        ("volume", {"size": "30GB"}, "pulumi config set --path flyte-home:backup.volume.size 20Gi"),
    ],
)
def test_a_wrong_value_leads_to_one_message_with_its_key_and_the_remedy(key: str, value: Any, remedy: str):
    (message,) = problems({**S3, key: value})

    assert message.startswith(f"flyte-home:backup.{key}")
    assert remedy in message
    assert "planted" not in message


def test_a_number_of_sets_that_is_out_of_range_is_shown():
    (message,) = problems({**S3, "keep": {"monthly": 5000}})

    assert message.startswith(
        "flyte-home:backup.keep.monthly: 5000 is out of range; write a whole number from 0 to 1000"
    )


def test_a_whole_recovery_key_in_the_stack_file_is_rejected_and_not_shown():
    key = RecoveryKey.new("dev", settings_from(*stack()), "planted")

    (message,) = problems({**S3, "recoveryKey": key.text})

    assert message.startswith("flyte-home:backup.recoveryKey: ")
    assert key.text[:30] not in message
    assert load({**S3, "recoveryKey": key.public}).recovery_key == key.public


# --- namespaces and warnings --------------------------------------------------------------------------------------


def test_rehearsals_have_a_namespace_next_to_that_of_the_stack():
    settings = settings_from(*stack(backup=S3, backupCredentials=STORE_SECRET, namespace="platform"))

    assert settings.drill_namespace == "platform-drill"
    assert "platform-drill" in settings.namespaces


def test_a_namespace_whose_rehearsals_would_have_too_long_a_name_is_rejected():
    (message,) = problems(S3, namespace="x" * 58)

    assert message.startswith("flyte-home:namespace: ")
    assert message.endswith("which is too long or in use; choose another name")
    assert load(S3, namespace="x" * 57)


def test_a_namespace_whose_rehearsals_would_share_one_with_tasks_is_rejected():
    (message,) = problems(S3, namespace="remedy", domains=["drill"])

    assert message == (
        "flyte-home:namespace: 'remedy' leads to the namespace remedy-drill for rehearsed restores, which is too long "
        "or in use; choose another name"
    )
    assert settings_from(*stack(namespace="remedy", domains=["drill"]))


def test_a_protected_stack_without_a_target_gets_a_warning():
    (warning,) = warnings(protect=True)

    assert warning.startswith("flyte-home:backup.target is empty, so this stack is protected against mistakes")
    assert warning.endswith("see docs/backup.md")
    assert warnings(protect=False) == []


def test_a_backup_without_a_recovery_key_gets_a_warning():
    backup = {"backup": S3, "backupCredentials": STORE_SECRET}

    (warning,) = warnings(**backup, protect=True)

    assert warning.startswith("flyte-home:backup.recoveryKey is empty")
    assert warning.endswith("run make backup-key")
    assert warnings(backup={**S3, "recoveryKey": "0" * 64}, backupCredentials=STORE_SECRET, protect=True) == []
