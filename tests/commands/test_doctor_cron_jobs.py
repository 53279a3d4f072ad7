"""The doctor's checks of what runs by itself: backup, check of the repository, rehearsal, deletion of old rows."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from components.backup import names
from components.retention import CRON_JOB
from ops.doctor.backup import check_backup
from ops.doctor.check import Result
from ops.doctor.retention import check_retention
from tests.kubectl import FakeCluster, examined, states
from tests.unit.test_backup_settings import S3, STORE_SECRET

KEY = "0" * 64
HOURLY = {**S3, "schedule": "0 * * * *", "timeZone": "Etc/UTC", "recoveryKey": KEY}


def ago(hours: float) -> str:
    """A moment as the API server writes it."""
    return (datetime.now(UTC) - timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")


def cron_job(name: str, namespace: str = "flyte", created: float = 100, succeeded: float | None = None) -> Any:
    """A CronJob whose ages are in hours."""
    metadata = {"name": name, "namespace": namespace, "uid": name, "creationTimestamp": ago(created)}
    return {"metadata": metadata, "status": {} if succeeded is None else {"lastSuccessfulTime": ago(succeeded)}}


def failed_job(owner: str, hours: float, controller: bool = True) -> Any:
    """A Job of a CronJob that failed some hours ago."""
    condition = {"type": "Failed", "status": "True", "lastTransitionTime": ago(hours)}
    metadata = {"name": f"{owner}-1", "ownerReferences": [{"uid": owner, "controller": controller}]}
    return {"metadata": metadata, "status": {"conditions": [condition]}}


def cluster(*cron_jobs: Any, jobs: list[Any] | None = None) -> FakeCluster:
    """A cluster with these CronJobs and Jobs."""
    found = FakeCluster()
    for namespace in ("flyte", "flyte-drill"):
        ours = [one for one in cron_jobs if one["metadata"]["namespace"] == namespace]
        found.on(f"get cronjobs --namespace={namespace}", {"items": ours})
        found.on(f"get jobs --namespace={namespace}", {"items": (jobs or []) if namespace == "flyte" else []})
    return found


def backup_findings(
    last: float | None,
    jobs: list[Any] | None = None,
    created: float = 100,
    drilled: float | None = None,
    **changed: Any,
) -> list[Result]:
    """What the doctor finds where the last set is some hours old."""
    found = cluster(
        cron_job(names.BACKUP, succeeded=last, created=created),
        cron_job(names.CHECK),
        cron_job(names.DRILL, "flyte-drill", created, drilled),
        jobs=jobs,
    )
    found.on("logs job/backup-1", "backup: the bucket of the target does not exist; create it\n")
    return list(check_backup(examined(found, backup={**HOURLY, **changed}, backupCredentials=STORE_SECRET)))


def test_a_protected_stack_without_a_target_is_worth_a_remark():
    (said,) = check_backup(examined(protect=True))

    assert said.state == "remark"
    assert "loss of a disk" in said.says


def test_a_fresh_set_is_fine_and_its_age_is_shown():
    (said,) = backup_findings(2.5)

    assert (said.state, said.says) == ("ok", "the last set is 2 hours old")


def test_a_set_is_overdue_six_hours_after_its_time():
    (said,) = backup_findings(8)

    assert said.state == "wrong"
    assert said.says == "the last backup is 8 hours old, but its schedule is '0 * * * *'"
    assert said.remedy == "make backup STACK=dev"


def test_where_the_time_zone_of_a_schedule_is_unknown_a_set_is_not_called_overdue_too_early():
    now = datetime.now(UTC)
    # Read as UTC, it was due again an hour after the last set.
    daily = f"{now.minute} {(now - timedelta(hours=22)).hour} * * *"

    for zone in ("", "Not/Known"):
        assert states(backup_findings(23, timeZone=zone, schedule=daily)) == ["ok"]
        assert states(backup_findings(31, timeZone=zone, schedule=daily)) == ["wrong"]


def test_a_schedule_in_a_time_zone_is_read_in_that_zone():
    """The last set is of the last full hour before now, in a zone in which it is another time of day."""
    now = datetime.now(UTC)
    behind = (now - timedelta(hours=9)).hour
    schedule = {"schedule": f"{now.minute} {behind} * * *"}

    # In the zone, the next one is due now; read as UTC, it would have been nine hours ago, and overdue.
    assert states(backup_findings(23.9, timeZone="Etc/GMT+9", **schedule)) == ["ok"]
    assert states(backup_findings(23.9, timeZone="Etc/UTC", **schedule)) == ["wrong"]


def test_a_backup_that_never_ran_is_a_remark_at_first_and_wrong_when_it_is_overdue():
    early, late = backup_findings(None, created=1), backup_findings(None, created=30)

    assert [(one.state, one.says) for one in early] == [("remark", "there is no set yet")]
    assert [(one.state, one.says) for one in late] == [
        ("wrong", "there was never a backup, but its schedule is '0 * * * *'")
    ]


def test_a_failed_backup_shows_its_last_words_and_how_to_see_the_rest():
    (said,) = backup_findings(2, [failed_job("backup", 1)])

    assert said.state == "wrong"
    assert "the last backup has failed: backup: the bucket of the target does not exist" in said.says
    assert "logs job/backup-1" in said.remedy
    assert "make backup STACK=dev" in said.remedy


def test_a_failure_before_the_last_success_and_a_job_of_another_cron_job_do_not_count():
    assert states(backup_findings(1, [failed_job("backup", 2), failed_job("other", 0.5)])) == ["ok"]


def test_a_list_of_sets_that_failed_is_not_a_check_that_found_damage():
    damage, question = failed_job("backup-check", 1), failed_job("backup-check", 0.5, controller=False)

    assert states(backup_findings(1, [question])) == ["ok"]
    assert [one.says.partition(":")[0] for one in backup_findings(1, [damage, question])] == [
        "the last check of the repository has failed"
    ]


def test_a_rehearsal_that_was_due_is_missed_and_without_a_schedule_none_is_expected():
    def found(last: float | None) -> Result:
        return backup_findings(1, created=2000, drilled=last, drillSchedule="0 5 1 * *")[0]

    assert states(backup_findings(1, created=2000, drilled=1000)) == ["ok"]

    assert found(1000).says == "the last rehearsed restore is 41 days old, but its schedule is '0 5 1 * *'"
    assert found(1000).remedy == "make drill STACK=dev"
    assert found(None).says == "there was never a rehearsed restore, but its schedule is '0 5 1 * *'"


def test_a_trial_stack_without_a_target_is_fine_and_no_finding_shows_a_secret():
    assert states(list(check_backup(examined()))) == ["ok"]
    found = [*backup_findings(100, [failed_job("backup", 1)]), *backup_findings(100), *backup_findings(None)]
    assert STORE_SECRET not in "".join(one.says + one.remedy for one in found)


@pytest.mark.parametrize("missing", [names.BACKUP, names.CHECK, names.DRILL])
def test_a_missing_cron_job_is_wrong(missing: str):
    every = [cron_job(names.BACKUP, succeeded=1), cron_job(names.CHECK), cron_job(names.DRILL, "flyte-drill")]
    found = cluster(*[one for one in every if one["metadata"]["name"] != missing])

    (said,) = check_backup(examined(found, backup=HOURLY, backupCredentials=STORE_SECRET))

    assert said.state == "wrong"
    assert f"the CronJob {missing} is not in the namespace" in said.says


def test_a_missing_recovery_key_is_worth_a_remark():
    assert [one.says for one in backup_findings(1, recoveryKey="") if one.state == "remark"] == [
        "no recovery key: without this machine and the cluster, nothing opens the sets"
    ]


def test_old_rows_that_were_not_deleted_in_time_are_wrong():
    def found(last: float | None) -> list[Result]:
        retention = {"executions": 30, "schedule": "0 * * * *"}
        return list(check_retention(examined(cluster(cron_job(CRON_JOB, succeeded=last)), retention=retention)))

    assert [one.says for one in found(3.5)] == ["the last deletion of old rows was 3 hours ago"]
    (late,) = found(48.5)
    assert late.state == "wrong"
    assert late.says == "the last deletion of old rows is 2 days old, but its schedule is '0 * * * *'"
    assert late.remedy == "make gc STACK=dev"
