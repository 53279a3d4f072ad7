"""The sets in a repository: what they say, which of them are kept, and what an interrupted backup leaves."""

# ruff: noqa: F811 (fixtures)

import json
import random
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from settings.backup import BackupKeep
from tests.scripts.backup import LARGE, NAMES, PASSWORD, TARGET_KEY, Home, plant
from tests.scripts.homes import binaries, home, pristine, servers, uid  # noqa: F401 (fixtures)
from tests.scripts.repository import add_file

KILLS = 10
PAPER = Path(__file__).resolve().parents[2] / "docs" / "backup.md"


def test_the_manifest_counts_what_is_there(home: Home):
    plant(home)
    tables = home.sql("SELECT schemaname || '.' || quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'")
    done = home.must_backup()

    home.must_restore(until="fetch")

    manifest = json.loads((home.path / "restore/restored/set/manifest.json").read_text())
    counted = {table: int(home.sql(f"SELECT count(*) FROM {table}")) for table in tables.splitlines()}  # noqa: S608 (names of the server)
    # pg_dump quotes a name only where it must, as quote_ident does.
    assert manifest["database"]["rows"] == counted
    assert counted["public.odd"] == 4
    assert counted['public."empty Table"'] == 0
    small = sum(len(f"content {number}") for number in range(len(NAMES)))
    assert manifest["buckets"] == {
        "empty": {"objects": 0, "bytes": 0},
        "flyte": {"objects": 2, "bytes": len(b"\x00\xffcode")},
        "tasks": {"objects": len(NAMES) + 1, "bytes": len(LARGE) + small},
    }
    assert manifest["stack"] == "dev"
    assert (done["rows"], done["objects"]) == (sum(counted.values()), len(NAMES) + 3)


def test_ten_kills_at_random_moments_leave_no_set_that_looks_whole_and_no_lock(home: Home):
    plant(home)
    rows, content = home.rows(), home.content()
    began = time.monotonic()
    home.must_backup()
    whole = time.monotonic() - began
    killed: list[float] = []
    while len(killed) < KILLS:
        moment = random.SystemRandom().uniform(0, whole)
        if home.killed_backup(moment):
            killed.append(moment)

    # The locks of killed processes keep neither this one nor the removal of old sets from running.
    last = home.must_backup()

    assert home.check("prune").code == 0
    listed = home.sets()
    assert listed[-1]["id"] == last["id"], f"killed after {killed} s"
    for each in listed:
        fetched = home.restore(each["id"], until="fetch")
        if each["verified"]:
            assert fetched.code == 0, f"killed after {killed} s: {fetched.errors}"
            assert f"{len(NAMES) + 3} objects, dump read back" in fetched.output
        else:
            assert "was never verified" in fetched.complaint
    assert (home.rows(), home.content()) == (rows, content)


def test_a_lock_of_a_backup_that_was_killed_elsewhere_holds_up_nothing_once_it_is_old(home: Home):
    home.put("flyte/kept", b"kept")
    _lock(home, minutes=31, exclusive=False)
    _lock(home, minutes=31, exclusive=True)

    home.must_backup()

    assert list((home.repository / "locks").iterdir()) == []
    _lock(home, minutes=31, exclusive=True)
    assert len(home.sets()) == 1
    _lock(home, minutes=31, exclusive=False)
    assert home.check("check", SUBSET="1/1").code == 0


def test_a_repository_that_another_run_has_locked_is_left_to_it(home: Home):
    home.put("flyte/kept", b"kept")
    _lock(home, minutes=4, exclusive=True)

    done = home.backup()

    assert done.complaint.startswith("the repository is locked by another backup, check or removal")
    assert "half an hour" in done.complaint
    assert len(list((home.repository / "locks").iterdir())) == 1


def _lock(home: Home, minutes: int, *, exclusive: bool) -> None:
    when = datetime.now(UTC) - timedelta(minutes=minutes)
    lock = {"time": when.isoformat(), "exclusive": exclusive, "hostname": "backup-1a2b3c", "username": "", "pid": 7}
    add_file(home.repository, PASSWORD, "locks", lock)


class Calendar:
    """Sets of earlier days, as copies of one that was made now."""

    def __init__(self, home: Home) -> None:
        self._home = home
        home.put("flyte/kept", b"kept")
        self.now = home.must_backup()["id"]
        self._tree = json.loads(home.restic("cat", "snapshot", self.now))["tree"]

    def add(self, day: date, *, verified: bool = True, hour: int = 12, stack: str = "dev") -> str:
        """Add a set of this day. Returns its id."""
        when = datetime(day.year, day.month, day.day, hour, tzinfo=UTC)
        made = self._snapshot(when, stack, ["set", "label=schedule", "rows=0", "objects=1", "bytes=4", "state=none"])
        if verified:
            self._snapshot(when + timedelta(minutes=1), stack, ["record", f"verified={made}"])
        return made

    def _snapshot(self, when: datetime, stack: str, tags: list[str]) -> str:
        about = {"time": when.isoformat(), "tree": self._tree, "paths": ["/set"], "hostname": stack, "tags": tags}
        return add_file(self._home.repository, PASSWORD, "snapshots", about)

    def pruned(self, daily: int, weekly: int, monthly: int) -> set[str]:
        """The sets that are left when old ones were removed."""
        self._home.with_settings(keep=BackupKeep(daily=daily, weekly=weekly, monthly=monthly))
        done = self._home.check("prune")
        assert done.code == 0, done.errors
        return {each["id"] for each in self._home.sets()}


def test_the_last_sets_of_days_weeks_and_months_are_kept_with_their_records(home: Home):
    calendar = Calendar(home)
    first = date(2025, 1, 1)
    days = [first + timedelta(days=number) for number in range(90)]
    ids = {day: calendar.add(day) for day in days}
    foreign = calendar.add(first, stack="other")

    kept = calendar.pruned(daily=3, weekly=4, monthly=3)

    # The set made now is one of each kind.
    daily = {date(2025, 3, 31), date(2025, 3, 30)}
    weekly = {date(2025, 3, 31), date(2025, 3, 30), date(2025, 3, 23)}
    monthly = {date(2025, 3, 31), date(2025, 2, 28)}
    assert kept == {calendar.now, *(ids[day] for day in daily | weekly | monthly)}
    snapshots = json.loads(home.restic("snapshots", "--json"))
    records = [tag for each in snapshots for tag in each["tags"] if tag.startswith("verified=")]
    assert sorted(records) == sorted(f"verified={each}" for each in {*kept, foreign})
    assert foreign in {each["id"] for each in snapshots}
    assert home.must_restore(ids[date(2025, 2, 28)], until="fetch")


def test_the_newest_complete_set_is_kept_whatever_came_after_it(home: Home):
    calendar = Calendar(home)
    home.restic("forget", calendar.now)
    complete = calendar.add(date(2025, 1, 1))
    for day in range(2, 9):
        calendar.add(date(2025, 1, day), verified=False)

    kept = calendar.pruned(daily=1, weekly=0, monthly=0)

    assert complete in kept
    home.must_restore(until="fetch")
    assert (home.path / "restore/id").read_text().strip() == complete


def test_an_incomplete_set_takes_the_place_of_no_complete_one(home: Home):
    calendar = Calendar(home)
    complete = {calendar.add(date(2025, 1, day)) for day in (1, 2, 3)}
    for day in (1, 2, 3):
        calendar.add(date(2025, 1, day), verified=False, hour=18)

    assert calendar.pruned(daily=4, weekly=0, monthly=0) == {calendar.now, *complete}


def test_a_key_that_may_not_delete_makes_sets_and_cannot_remove_them(home: Home):
    calendar = Calendar(home)
    old = [calendar.add(date(2025, 1, day)) for day in (1, 2)]
    target = home.servers.target
    target.root("mb", f"store/{home.bucket}")
    target.root("mirror", "--quiet", str(home.repository), f"store/{home.bucket}/flyte")
    target.root("admin", "user", "add", "store", "appender", TARGET_KEY)
    home.servers.grant(target, "appender", _policy_of_the_paper(home.bucket))
    home.use_bucket(user="appender", create=False)
    home.put("flyte/later", b"later")

    made = home.must_backup(PRUNE="false")

    ids = [*old, calendar.now, made["id"]]
    assert [each["id"] for each in home.sets() if each["verified"]] == ids
    assert home.check("check", SUBSET="1/1").code == 0
    home.with_settings(keep=BackupKeep(daily=1, weekly=0, monthly=0))
    complaint = home.check("prune").complaint
    assert complaint.startswith("flyte-home:backupCredentials: ")
    assert "may not delete" in complaint
    assert "flyte-home:backup.prune" in complaint
    # With the setting left on, a backup nevertheless counts as made.
    assert home.backup().code == 0
    assert {each["id"] for each in home.sets()} > set(ids)
    assert target.root("ls", f"store/{home.bucket}/flyte/locks/") == ""


def _policy_of_the_paper(bucket: str) -> dict[str, Any]:
    text = PAPER.read_text()
    rules, _ = json.JSONDecoder().raw_decode(text[text.index('{"Version"') :].replace("backups", bucket))
    return cast(dict[str, Any], rules)


def test_a_backup_to_another_target_begins_with_an_empty_repository(home: Home):
    home.put("flyte/kept", b"kept")
    home.must_backup()
    home.with_settings(target="claim:disk/elsewhere")

    home.must_backup()

    assert len(home.sets()) == 1
