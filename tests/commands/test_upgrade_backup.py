"""``make upgrade`` of a stack with a backup: a set before it, and the way back to that set."""

# ruff: noqa: F811 (fixtures)

from dataclasses import dataclass
from typing import Any

import pytest

from tests.commands.backed_up import NEW_ROWS, OLD_ROWS, POINT, BackedUp, a_set
from tests.commands.test_up import Machine, machine  # noqa: F401 (a fixture)
from tests.commands.test_upgrade import Home, home  # noqa: F401 (a fixture)

TAKEN = "job backup LABEL=before-upgrade"
DEPLOYED = ["pulumi preview", "pulumi up", "smoke dev"]


@dataclass(frozen=True)
class Upgraded:
    """A stack that can be upgraded, and its backup."""

    home: Home
    backup: BackedUp

    def make(self, *arguments: str) -> tuple[int, list[str], str]:
        """Upgrade; return the exit code, what was done in its order, and the error."""
        (self.home.machine.folder / "log").unlink(missing_ok=True)
        result, effects = self.backup.make("upgrade", "dev", *arguments)
        log = (self.home.machine.folder / "log").read_text().splitlines()
        lines = [" ".join(line.split()[:2]) if line.startswith("pulumi ") else line for line in log]
        return (
            result.returncode,
            [one for one in lines if one in {*effects, "pulumi preview", "pulumi up"}],
            result.stderr,
        )

    @property
    def record(self) -> dict[str, Any]:
        return self.home.record


@pytest.fixture
def upgraded(home: Home) -> Upgraded:
    return Upgraded(home, BackedUp.on(home.machine, deploys=True))


def test_a_set_is_taken_before_anything_is_deployed_and_recorded(upgraded: Upgraded):
    code, done, error = upgraded.make()

    assert code == 0, error
    assert done == [TAKEN, *DEPLOYED]
    assert (upgraded.record["backup"], upgraded.record["phase"]) == (POINT, "done")


def test_a_backup_that_fails_stops_the_upgrade_before_anything(upgraded: Upgraded):
    upgraded.backup.set(fails={"backup": {"step": "dump", "says": ["dump: the server does not answer"]}})
    before = upgraded.home.file.read_bytes()

    code, done, error = upgraded.make()

    assert code == 1
    assert error == "STOPPED  dump: the server does not answer\n"
    assert done == [TAKEN]
    assert upgraded.home.world["record"] is None
    assert upgraded.home.file.read_bytes() == before


def test_you_may_upgrade_without_a_backup(upgraded: Upgraded):
    code, done, error = upgraded.make("--no-backup")

    assert code == 0, error
    assert done == DEPLOYED
    assert upgraded.record["backup"] == ""


def test_an_upgrade_that_goes_on_keeps_the_set_from_before_it(upgraded: Upgraded):
    upgraded.home.set(fails="pulumi up")
    stopped, first, _ = upgraded.make()
    upgraded.home.set(fails="")

    code, second, error = upgraded.make()

    assert (stopped, first) == (1, [TAKEN, "pulumi preview", "pulumi up"])
    assert code == 0, error
    assert second == DEPLOYED
    assert upgraded.record["backup"] == POINT


def test_going_back_restores_the_set_of_the_upgrade_over_what_was_written_since(upgraded: Upgraded):
    upgraded.make()
    upgraded.backup.set(sets=[a_set("d4" * 32, 30), a_set(POINT, label="before-upgrade")])

    code, done, error = upgraded.make("--back")

    assert code == 0, error
    assert done == [
        "pulumi up",
        "job backup-check:list",
        "job backup LABEL=before-restore",
        f"job backup-restore AT={POINT}",
        *("scale 0", "swap", "scale 1", "ended lost", "smoke dev"),
        "drop what was replaced",
        "smoke dev",
    ]
    assert upgraded.backup.world["databases"] == {"flyte": NEW_ROWS}
    assert (upgraded.record["phase"], upgraded.record["backup"]) == ("none", "")


def test_going_back_to_a_set_that_is_gone_says_so_and_keeps_the_database(upgraded: Upgraded):
    upgraded.make()

    code, _, error = upgraded.make("--back")

    assert code == 1
    assert f"AT: there is no set '{POINT}'" in error
    assert upgraded.backup.world["databases"] == {"flyte": OLD_ROWS}
    assert upgraded.record["phase"] == "returning"
