"""``make restore``: what stops it before anything is touched, its order, and the way back."""

# ruff: noqa: F811 (fixtures)

import pytest

from tests.commands.backed_up import FIRST, NEW_ROWS, OLD_ROWS, POINT, SECOND, BackedUp, a_set
from tests.commands.test_up import Machine, machine  # noqa: F401 (a fixture)

LIST = "job backup-check:list"
POINT_MADE = "job backup LABEL=before-restore"
EMPTY = {"public.executions": 0, "public.goose": 31}
WORKS = ["scale 0", "swap", "scale 1", "ended lost", "smoke dev"]


@pytest.fixture
def home(machine: Machine) -> BackedUp:
    return BackedUp.on(machine)


@pytest.fixture
def empty(home: BackedUp) -> BackedUp:
    """A stack whose database has nothing that could be lost."""
    home.set(databases={"flyte": EMPTY})
    return home


# --- nothing is touched -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "says"),
    [
        ("9999", "AT: there is no set '9999'; the last ones are a1a1a1a1, b2b2b2b2, c4c4c4c4: make backups STACK=dev"),
        ("c4c4", "AT: the set c4c4c4c4 was never verified; choose another: make backups STACK=dev"),
    ],
)
def test_a_set_that_is_unknown_or_not_verified_is_rejected_before_anything_is_touched(
    home: BackedUp, at: str, says: str
):
    home.set(sets=[*home.world["sets"], a_set("c4" * 32, verified=None)])

    result, effects = home.make("restore", "dev", "--at", at, "--over")

    assert result.returncode == 1
    assert result.stderr == f"FAILED  {says}\n"
    assert effects == [LIST]


def test_without_any_set_there_is_nothing_to_restore(home: BackedUp):
    home.set(sets=[])

    result, effects = home.make("restore", "dev")

    assert result.stderr == "FAILED  AT: there is no set 'latest'; the last ones are none: make backups STACK=dev\n"
    assert effects == [LIST]


def test_a_database_with_content_is_replaced_only_when_you_say_so(home: BackedUp):
    result, effects = home.make("restore", "dev", "--at", "a1a1")

    assert result.returncode == 1
    assert result.stderr == (
        "FAILED  stack 'dev' has 92 executions, 3 workflows; nothing was changed. To replace that by the set, write "
        "make restore AT=a1a1 OVER=yes STACK=dev\n"
    )
    assert effects == [LIST]
    assert home.world["databases"] == {"flyte": OLD_ROWS}


def test_a_restore_needs_a_server_that_runs(home: BackedUp):
    home.set(down=True)

    result, effects = home.make("restore", "dev")

    assert "the server of the database does not run" in result.stderr
    assert "make doctor STACK=dev says why" in result.stderr
    assert effects == []


def test_what_cannot_be_saved_first_is_not_replaced_without_your_word(home: BackedUp):
    home.set(unreadable=True, fails={"backup": {"step": "dump", "says": ["dump: invalid page in block 7"]}})

    refused, first = home.make("restore", "dev", "--over")
    agreed, second = home.make("restore", "dev", "--over", "--no-restore-point")

    assert refused.returncode == 1
    assert "dump: invalid page in block 7" in refused.stderr
    assert "make restore AT=latest OVER=yes RESTORE_POINT=no STACK=dev" in refused.stderr
    assert first == [LIST, POINT_MADE]
    assert agreed.returncode == 0, agreed.stderr
    assert second == [LIST, f"job backup-restore AT={SECOND}", *WORKS, "drop what was replaced"]


# --- a restore ----------------------------------------------------------------------------------------------------


def test_into_an_empty_stack_the_newest_set_is_restored_and_then_checked(empty: BackedUp):
    result, effects = empty.make("restore", "dev")

    assert result.returncode == 0, result.stderr
    assert effects == [LIST, f"job backup-restore AT={SECOND}", *WORKS, "drop what was replaced"]
    assert empty.world["databases"] == {"flyte": NEW_ROWS}
    assert "  ended remedy/development/lost (RUNNING) no longer runs in the cluster" in result.stdout.splitlines()
    assert result.stdout.splitlines()[-1].startswith(
        f"ok      set {SECOND[:8]} of 2026-01-02T03:17:05Z: 95 rows, 7 objects; "
        "references without an object: 2 of cache; in "
    )


def test_over_content_what_is_there_becomes_a_set_first_which_is_not_the_one_that_is_restored(home: BackedUp):
    result, effects = home.make("restore", "dev", "--over")

    assert result.returncode == 0, result.stderr
    assert effects == [LIST, POINT_MADE, f"job backup-restore AT={SECOND}", *WORKS, "drop what was replaced"]
    assert "restore point: backing up what is there, 92 executions, 3 workflows" in result.stdout
    assert f"restoring the set {SECOND[:8]} of " in result.stdout


def test_a_set_is_named_by_the_beginning_of_its_id_and_missed_schedules_start_on_request(empty: BackedUp):
    _, effects = empty.make("restore", "dev", "--at", "a1a1", "--missed-schedules")

    assert effects[1] == f"job backup-restore AT={FIRST} RUN_MISSED_SCHEDULES=true"


def test_the_newest_set_is_not_a_restore_point_but_one_can_be_chosen_by_its_time(empty: BackedUp):
    point = a_set(POINT, 0.5, label="before-restore", time="2026-02-03T04:05:06.123456789Z")
    empty.set(sets=[*empty.world["sets"], point])

    _, latest = empty.make("restore", "dev")
    empty.set(databases={"flyte": EMPTY})
    _, chosen = empty.make("restore", "dev", "--at", "2026-02-03T04:05")

    assert latest[1] == f"job backup-restore AT={SECOND}"
    assert chosen[1] == f"job backup-restore AT={POINT}"


# --- the way back -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["fetch", "objects"])
def test_a_restore_that_fails_before_the_swap_leaves_the_database_and_starts_flyte_again(home: BackedUp, step: str):
    home.set(fails={"backup-restore": {"step": step, "says": [f"{step}: it does not answer"]}})

    result, effects = home.make("restore", "dev", "--over")

    assert result.returncode == 1
    assert result.stderr == f"FAILED  {step}: it does not answer\nThe database of Flyte is as it was\n"
    stopped = ["scale 0"] if step == "objects" else []
    assert effects == [LIST, POINT_MADE, f"job backup-restore AT={SECOND}", *stopped, "scale 1"]
    assert (home.world["databases"], home.world["replicas"]) == ({"flyte": OLD_ROWS}, 1)


@pytest.mark.parametrize("fails", ["smoke", "rollout"])
def test_a_stack_that_does_not_work_with_the_set_goes_back_by_itself(home: BackedUp, fails: str):
    if fails == "smoke":
        home.let_fail("smoke")
    else:
        home.set(rejects=["rollout status"])

    result, effects = home.make("restore", "dev", "--over")

    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == "The stack is as it was before the restore"
    back = ["scale 0", "swap back", f"job backup-restore AT={POINT} OBJECTS_ONLY=true", "scale 0", "scale 1"]
    assert effects[-len(back) :] == back
    assert (home.world["databases"], home.world["replicas"]) == ({"flyte": OLD_ROWS}, 1)


def test_without_a_restore_point_only_the_database_goes_back(home: BackedUp):
    home.let_fail("smoke")

    result, effects = home.make("restore", "dev", "--over", "--no-restore-point")

    assert result.returncode == 1
    assert effects[-3:] == ["scale 0", "swap back", "scale 1"]
    assert home.world["databases"] == {"flyte": OLD_ROWS}


def test_the_database_that_an_earlier_restore_had_replaced_is_dropped_before_the_next(home: BackedUp):
    home.set(databases={"flyte": OLD_ROWS, "flyte_replaced": {"public.executions": 1}})
    home.set(fails={"backup-restore": {"step": "fetch", "says": ["fetch: it does not answer"]}})

    result, effects = home.make("restore", "dev", "--over")

    assert result.stderr.endswith("The database of Flyte is as it was\n")
    assert effects[1:3] == [POINT_MADE, "drop what was replaced"]
    assert home.world["databases"] == {"flyte": OLD_ROWS}


def test_a_way_back_that_fails_names_the_set_that_has_what_was_there(home: BackedUp):
    home.let_fail("smoke")
    home.set(stuck=True)

    result, effects = home.make("restore", "dev", "--over")

    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == (
        "Going back has failed as well: the database rejects a step of the restore: database is being accessed; "
        f"the set {POINT[:8]} is what was there before"
    )
    assert effects[-2:] == ["scale 0", "scale 1"]


def test_a_stack_that_was_empty_keeps_the_set_although_it_does_not_work(empty: BackedUp):
    empty.let_fail("smoke")

    result, effects = empty.make("restore", "dev")

    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == "The stack had no data before, and may have part of the set now"
    assert "swap back" not in effects
    assert empty.world["databases"]["flyte"] == NEW_ROWS
