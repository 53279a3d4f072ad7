"""``make backup``, ``make backups``, ``make backup-key`` and ``make drill``, with stand-ins for kubectl and Pulumi."""

# ruff: noqa: F811 (fixtures)

import json
from datetime import UTC, datetime, timedelta

import pytest

from ops.lib.backup.recovery_key import RecoveryKey
from tests.commands.backed_up import CREDENTIALS, FIRST, POINT, SECOND, TARGET, BackedUp, a_set
from tests.commands.test_up import Machine, machine  # noqa: F401 (a fixture)

OLD_KEY = "0" * 64


@pytest.fixture
def home(machine: Machine) -> BackedUp:
    return BackedUp.on(machine)


def failure(step: str, *says: str) -> dict[str, object]:
    return {"step": step, "says": says}


# --- what all of them check first ---------------------------------------------------------------------------------

ALL = ["backup", "backups", "backup_key", "drill", "restore"]


@pytest.mark.parametrize("command", ALL)
def test_a_stack_without_a_target_gets_the_command_that_sets_one(home: BackedUp, command: str):
    home.configure(backup={}, backupCredentials="")

    result, effects = home.make(command, "dev")

    assert result.returncode == 1
    assert "flyte-home:backup.target: is empty, so stack 'dev' has no backup" in result.stderr
    assert "pulumi config set --path flyte-home:backup.target" in result.stderr
    assert effects == []


@pytest.mark.parametrize("command", ALL)
def test_nothing_runs_in_another_cluster_than_that_of_the_stack(home: BackedUp, command: str):
    home.configure(clusterUid="uid-of-another-cluster")

    result, effects = home.make(command, "dev")

    assert result.returncode == 1
    assert "stack 'dev' belongs to the cluster uid-of-another-cluster" in result.stderr
    assert effects == []


def test_a_backup_that_is_not_deployed_yet_needs_make_up(home: BackedUp):
    home.set(templates={})

    result, effects = home.make("backup", "dev")

    assert result.returncode == 1
    assert "is not in the namespace" in result.stderr
    assert "run make up" in result.stderr
    assert effects == []


# --- make backup --------------------------------------------------------------------------------------------------


def test_a_backup_shows_its_steps_and_names_its_set(home: BackedUp):
    result, effects = home.make("backup", "dev")

    assert result.returncode == 0, result.stderr
    assert effects == ["job backup LABEL=manual"]
    lines = [line.strip() for line in result.stdout.splitlines() if "working" in line]
    assert lines == ["dump: working", "copy: working", "snapshot: working"]
    assert result.stdout.splitlines()[-1].startswith(f"ok      set {POINT[:8]}, verified, in ")


def test_with_a_recovery_key_the_state_is_encrypted_into_the_cluster_before_the_set_is_made(home: BackedUp):
    home.configure(backup={**TARGET, "recoveryKey": RecoveryKey.read(a_key(home)).public})

    result, effects = home.make("backup", "dev", "--label", "monthly")

    assert result.returncode == 0, result.stderr
    assert effects == ["keep state", "job backup LABEL=monthly"]
    assert "planted" not in json.dumps(home.world["applied"])


def test_a_backup_that_fails_ends_with_what_its_step_said_and_not_with_the_details_of_restic(home: BackedUp):
    says = ["snapshot: flyte-home:backup.target: it is full; free space there", "snapshot:   restic: no space left"]
    home.set(fails={"backup": failure("snapshot", *says)})

    result, _ = home.make("backup", "dev")

    assert result.returncode == 1
    assert result.stderr == f"FAILED  {says[0]}\n"
    assert "restic: no space left" in result.stdout


def test_a_backup_whose_result_was_lost_with_its_log_is_not_called_a_set(home: BackedUp):
    home.set(silent=True)

    result, _ = home.make("backup", "dev")

    assert result.returncode == 1
    assert result.stderr.endswith(" has succeeded, but its log is not complete\n")


# --- make backups -------------------------------------------------------------------------------------------------


def test_the_sets_are_listed_with_their_age_and_what_was_checked(home: BackedUp):
    now = datetime.now(UTC)
    drilled = {"drilled": (now - timedelta(days=3, hours=1)).isoformat()}
    failed = {"drill_failed": (now - timedelta(days=1)).isoformat()}
    home.set(
        sets=[
            a_set("a" * 64, 240.5, **drilled),
            a_set("b" * 64, 100.5, **drilled, **failed, label="manual"),
            a_set("c" * 64, 5.5, verified=None, state="none"),
        ]
    )

    result, effects = home.make("backups", "dev")

    assert result.returncode == 0, result.stderr
    assert effects == ["job backup-check:list"]
    head, *rows = result.stdout.splitlines()
    assert head.split() == ["set", "time", "(UTC)", "age", "made", "for", "rows", "objects", "size", "added", "checks"]
    assert [row.split()[0] for row in rows] == ["a" * 8, "b" * 8, "c" * 8]
    assert "  10 days schedule " in rows[0]
    assert rows[0].endswith("95        7    3.0 MiB    2.0 KiB  verified, drilled 3 days ago")
    assert rows[1].endswith("verified, DRILL FAILED")
    assert " 4 days manual " in rows[1]
    assert rows[2].endswith("NOT VERIFIED, without Pulumi's state")


def test_a_rehearsal_that_succeeds_after_one_that_failed_counts(home: BackedUp):
    now = datetime.now(UTC)
    later, earlier = (now - timedelta(hours=3)).isoformat(), (now - timedelta(days=2)).isoformat()
    home.set(sets=[a_set(FIRST, 100, drilled=later, drill_failed=earlier)])

    result, _ = home.make("backups", "dev")

    assert result.stdout.splitlines()[1].endswith("verified, drilled 3 hours ago")


def test_the_sets_as_json_are_one_document(home: BackedUp):
    home.set(recovery=2)

    result, _ = home.make("backups", "dev", "--json")

    content = json.loads(result.stdout)
    assert result.returncode == 0
    assert [one["id"] for one in content["sets"]] == [FIRST, SECOND]
    assert content["recoveryKeys"] == 2
    assert content["sets"][0]["verified"].startswith(str(datetime.now(UTC).year - 1)[:2])
    assert (content["sets"][0]["state"], content["sets"][0]["size"]) == (True, 3 << 20)


def test_a_repository_that_no_recovery_key_opens_is_mentioned(home: BackedUp):
    home.set(recovery=0)

    result, _ = home.make("backups", "dev")

    assert result.stdout.splitlines()[-1] == "No recovery key opens them. Run: make backup-key STACK=dev"


@pytest.mark.parametrize(("sets", "as_json"), [([], False), ([a_set(FIRST, verified=None)], True)])
def test_without_a_verified_set_the_list_is_a_failure_with_a_message(
    home: BackedUp, sets: list[dict[str, object]], as_json: bool
):
    home.set(sets=sets)

    result, _ = home.make("backups", "dev", *(["--json"] if as_json else []))

    assert result.returncode == 1
    assert result.stderr == "stack 'dev' has no verified set; run make backup STACK=dev\n"
    if as_json:
        assert len(json.loads(result.stdout)["sets"]) == len(sets)


def test_a_list_does_not_count_as_a_check_of_the_repository(home: BackedUp):
    home.make("backups", "dev")
    home.make("backup", "dev")

    owners = {job["metadata"]["ownerReferences"][0]["name"]: job for job in home.world["jobs"].values()}
    assert owners["backup-check"]["metadata"]["ownerReferences"][0]["controller"] is False
    assert owners["backup"]["metadata"]["ownerReferences"][0]["controller"] is True


# --- make backup-key ----------------------------------------------------------------------------------------------


def a_key(home: BackedUp) -> str:
    """The recovery key that a first ``make backup-key`` shows."""
    result, _ = home.make("backup_key", "dev")
    assert result.returncode == 0, result.stderr
    (key,) = [line for line in result.stdout.splitlines() if line.startswith("flyte-home-recovery-1-")]
    return key


def test_the_recovery_key_is_shown_once_and_a_set_that_it_opens_is_made(home: BackedUp):
    result, effects = home.make("backup_key", "dev")

    shown = [line for line in result.stdout.splitlines() if line.startswith("flyte-home-recovery-1-")]
    key = RecoveryKey.read(shown[0])
    assert result.returncode == 0, result.stderr
    assert len(shown) == 1
    assert effects == [
        "create Secret backup-recovery",
        "job backup-check:add-key",
        "delete secret backup-recovery",
        f"config flyte-home:backup.recoveryKey {key.public}",
        "keep state",
        "job backup LABEL=recovery-key",
    ]
    assert (key.stack, key.target, key.credentials) == ("dev", TARGET["target"], CREDENTIALS)
    # Neither half that opens something is anywhere but on the terminal.
    for place in (home.file, home.machine.folder / "log"):
        assert key.private not in place.read_text()
        assert key.text not in place.read_text()
        assert key.password not in place.read_text()


def test_the_password_of_the_key_reaches_the_job_as_a_file_of_a_secret(home: BackedUp):
    a_key(home)

    (job,) = [one for one in home.world["jobs"].values() if one["metadata"]["name"].startswith("backup-check")]
    pod = job["spec"]["template"]["spec"]
    (secret,) = [one for one in home.world["created"] if one["kind"] == "Secret"]
    assert pod["volumes"][-1]["secret"]["secretName"] == secret["metadata"]["name"]
    assert pod["containers"][0]["volumeMounts"][-1]["readOnly"] is True
    assert secret["data"]["password"] not in json.dumps(job)


def test_a_second_key_is_made_only_when_you_say_so(home: BackedUp):
    home.configure(backup={**TARGET, "recoveryKey": OLD_KEY})

    refused, nothing = home.make("backup_key", "dev")
    agreed, _ = home.make("backup_key", "dev", "--new")

    assert refused.returncode == 1
    assert "there is a recovery key; it was shown once" in refused.stderr
    assert "make backup-key NEW=yes STACK=dev" in refused.stderr
    assert nothing == []
    assert agreed.returncode == 0, agreed.stderr
    assert home.config["flyte-home:backup"]["recoveryKey"] != OLD_KEY


def test_a_key_that_the_repository_does_not_take_is_neither_shown_nor_written(home: BackedUp):
    home.set(fails={"backup-check:add-key": failure("check", "check: flyte-home:backup.target: it does not answer")})

    result, effects = home.make("backup_key", "dev")

    assert result.returncode == 1
    assert result.stderr == "FAILED  check: flyte-home:backup.target: it does not answer\n"
    assert "flyte-home-recovery-1-" not in result.stdout
    assert "recoveryKey" not in home.config["flyte-home:backup"]
    assert effects[-1] == "delete secret backup-recovery"


# --- make drill ---------------------------------------------------------------------------------------------------


def test_a_rehearsal_takes_the_newest_set_or_the_one_that_is_named_and_is_removed(home: BackedUp):
    newest, first = home.make("drill", "dev")
    named, second = home.make("drill", "dev", "--at", "a1a1")

    assert (newest.returncode, named.returncode) == (0, 0)
    assert first == ["job backup-drill AT=latest"]
    assert second == ["job backup-drill AT=a1a1"]
    assert newest.stdout.splitlines()[-1].startswith(
        f"ok      set {SECOND[:8]} of 2026-01-02T03:17:05Z can be restored"
    )
    log = (home.machine.folder / "log").read_text()
    assert log.count("delete job backup-drill-") == 2
    assert log.count("--namespace=flyte-drill --cascade=foreground") == 2


def test_a_set_that_cannot_be_restored_fails_its_rehearsal(home: BackedUp):
    home.set(fails={"backup-drill": failure("references", "references: 3 workflows lack their objects")})

    result, _ = home.make("drill", "dev")

    assert result.returncode == 1
    assert result.stderr == "FAILED  references: 3 workflows lack their objects\n"
    assert "delete job backup-drill-" in (home.machine.folder / "log").read_text()
