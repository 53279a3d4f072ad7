"""``make move-database`` and ``make move-store``: their order, the way back from each point, and what a kill leaves."""

# ruff: noqa: F811 (fixtures)

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from paths import ROOT
from tests.commands.move_stand_ins import KUBECTL, PULUMI
from tests.commands.stack_on_machine import StackOnMachine
from tests.commands.test_up import UID, Machine, machine  # noqa: F401 (a fixture)
from tests.external_store import external

EXTERNAL = {
    "database": {
        "postgres": {"mode": "external", "external": {"host": "db.home.example", "tls": {"mode": "disable"}}},
        "postgresPassword": {"secure": "v1:AAAA:AAAA"},
    },
    "store": {
        **{name: value for name, value in external().items() if not name.startswith("objectStoreKey")},
        "objectStoreKey": {"secure": "v1:AAAA:AAAA"},
        "objectStoreKey-remedy-development": {"secure": "v1:AAAA:AAAA"},
    },
}
# What describes the other store may stay.
BUNDLED: dict[str, dict[str, Any]] = {
    "database": {"postgres": {"mode": "bundled"}},
    "store": {"minio": {**EXTERNAL["store"]["minio"], "mode": "bundled"}},
}
DEPLOYED = {"database": [], "store": ["deploy ExternalObjectStore"]}
JOBS = {"database": ["job copy"], "store": ["job copy", "job leave"]}
VOLUME = {"database": "postgres-data", "store": "minio-data"}
COMPONENT = {"database": "Postgres", "store": "Minio"}


def copying(part: str) -> list[str]:
    """The effects of a move until everything is copied."""
    return ["record begun", *DEPLOYED[part], "job check", "scale 0", *JOBS[part]]


SWITCHING = ["record switching", "keep volumes", "up", "record switched", "smoke dev", "job settle", "forget"]


@dataclass(frozen=True)
class Home(StackOnMachine):
    """A machine with a stack whose Flyte uses the bundled database and the bundled store, both protected."""

    def make(self, command: str, *arguments: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
        """Run a command; return its result and its effects. No planted secret may be in its output or its arguments."""
        (self.machine.folder / "effects").write_text("")
        result, log = self.machine.make(command, "dev", *arguments, PULUMI_CONFIG_PASSPHRASE="planted-passphrase")
        assert "Traceback" not in result.stderr, result.stderr
        assert "planted-" not in (result.stdout + result.stderr + log)
        assert self.world["secrets"] == []
        return result, self.effects

    @property
    def effects(self) -> list[str]:
        return (self.machine.folder / "effects").read_text().splitlines()

    @property
    def uses(self) -> tuple[str, str, int]:
        """The modes of the database and of the store that Flyte uses, and its replicas."""
        return self.world["database"], self.world["store"], self.world["replicas"]

    @property
    def phase(self) -> str:
        """How far the recorded move is; empty without one."""
        return str(json.loads(self.world["move"]["data"]["move"])["phase"]) if self.world["move"] else ""


@pytest.fixture
def home(machine: Machine) -> Home:
    found = Home(machine)
    components = {"Postgres": {"protect": True}, "Minio": {"protect": True}}
    world: dict[str, Any] = {"database": "bundled", "store": "bundled", "replicas": 1, "components": components}
    world |= {
        "upgrade": None,
        "move": None,
        "jobs": {},
        "secrets": [],
        "tasks": [],
        "fails": "",
        "wrong": "",
        "hangs": "",
        "kills": "",
    }
    names = {"log": "log", "effects": "effects", "program": "program", "world": Home.WORLD}
    places = {name: str(machine.folder / place) for name, place in names.items()}
    Path(places["world"]).write_text(json.dumps(world))
    Path(places["effects"]).write_text("")
    machine.put("pulumi", PULUMI.format(**places))
    machine.put("kubectl", KUBECTL.format(uid=UID, **places))
    smoke = f"""
import pathlib, sys
folder = pathlib.Path({str(machine.folder)!r})
(folder / "effects").open("a").write(" ".join(["smoke", *sys.argv[1:]]) + "\\n")
sys.exit((folder / "broken").exists())
"""
    (machine.folder / "program" / "ops" / "smoke.py").write_text(smoke)
    shutil.copytree(ROOT / "scripts", machine.folder / "program" / "scripts")
    found.configure(protect=True, domains=["development"])
    return found


def wanted(part: str) -> tuple[str, str, int]:
    """What Flyte uses after a move of a part."""
    return ("external", "bundled", 1) if part == "database" else ("bundled", "external", 1)


parts = pytest.mark.parametrize("part", ["database", "store"])


# --- the order --------------------------------------------------------------------------------------------------------


@parts
def test_everything_is_copied_while_flyte_is_stopped_then_flyte_is_switched_and_the_volume_stays(home: Home, part: str):
    home.configure(**EXTERNAL[part])

    result, effects = home.make(f"move_{part}")

    assert result.returncode == 0, result.stdout + result.stderr
    assert effects == [*copying(part), *SWITCHING]
    assert home.uses == wanted(part)
    assert home.phase == ""
    assert f"delete persistentvolumeclaim {VOLUME[part]} --namespace flyte" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("ok      moved from the ")


@parts
def test_it_moves_back_to_the_bundled_server_which_is_deployed_first(home: Home, part: str):
    home.configure(**EXTERNAL[part])
    assert home.make(f"move_{part}")[0].returncode == 0
    home.configure(**BUNDLED[part])

    result, effects = home.make(f"move_{part}")

    assert result.returncode == 0, result.stdout + result.stderr
    assert effects[:4] == ["record begun", f"deploy {COMPONENT[part]}", "job check", "scale 0"]
    assert "up" in effects
    assert not [one for one in effects if "LOST" in one]
    assert home.uses == ("bundled", "bundled", 1)


def test_a_move_of_the_store_waits_for_the_tasks_that_still_write(home: Home):
    home.configure(**EXTERNAL["store"])
    home.set(tasks=[["one", "two"], ["two"], []])

    result, _ = home.make("move_store")

    assert result.returncode == 0, result.stderr
    waiting = [line.strip() for line in result.stdout.splitlines() if "waiting for" in line]
    assert waiting == [
        "waiting for 2 pods of tasks, which may still write, such as remedy-development/one",
        "waiting for 1 pods of tasks, which may still write, such as remedy-development/two",
    ]


def test_a_move_of_the_database_goes_on_while_tasks_run(home: Home):
    home.configure(**EXTERNAL["database"])
    home.set(tasks=[["one"]])

    result, _ = home.make("move_database")

    assert result.returncode == 0, result.stderr
    assert "1 pods of tasks go on; Flyte reads their results when it runs again" in result.stdout


# --- nothing is changed -----------------------------------------------------------------------------------------------


@parts
def test_without_another_mode_in_the_stack_file_there_is_nothing_to_move(home: Home, part: str):
    result, effects = home.make(f"move_{part}")

    assert result.returncode == 1
    assert "already, as the stack file says. Nothing was changed" in result.stderr
    assert effects == []


def test_an_upgrade_that_has_not_ended_comes_first(home: Home):
    home.configure(**EXTERNAL["database"])
    record = {"commit": "", "phase": "deploying", "before": "", "backup": "", "copy": None}
    home.set(upgrade={"kind": "ConfigMap", "data": {"record": json.dumps(record)}})

    result, effects = home.make("move_database")

    assert result.returncode == 1
    assert "an upgrade of dev has begun and has not ended. Nothing was changed" in result.stderr
    assert effects == []


@parts
def test_another_cluster_is_rejected(home: Home, part: str):
    home.configure(**EXTERNAL[part], clusterUid="of-another-cluster")

    result, effects = home.make(f"move_{part}")

    assert result.returncode == 1
    assert "flyte-home:clusterUid: stack 'dev' belongs to the cluster of-another-cluster" in result.stderr
    assert effects == []


def test_two_parts_do_not_move_at_once(home: Home):
    home.configure(**EXTERNAL["database"], **EXTERNAL["store"])

    database, first = home.make("move_database")
    store, second = home.make("move_store")

    assert database.returncode == store.returncode == 1
    assert "flyte-home:minio.mode: the stack would use" in database.stderr
    assert "flyte-home:postgres.mode: is 'external', but Flyte has" in store.stderr
    assert first == second == []


def test_another_bucket_is_rejected_because_the_rows_name_the_old_one(home: Home):
    home.configure(**EXTERNAL["store"])
    home.configure(minio={**EXTERNAL["store"]["minio"], "bucket": "other"})

    result, effects = home.make("move_store")

    assert result.returncode == 1
    assert "flyte-home:minio.bucket: is 'other', but the rows of the database refer to objects in" in result.stderr
    assert "scale 0" not in effects
    assert (home.uses, home.phase) == (("bundled", "bundled", 1), "")


@parts
def test_up_rejects_another_mode_and_names_the_command(home: Home, part: str):
    home.configure(**EXTERNAL[part])

    result, effects = home.make("up")

    assert result.returncode == 1
    assert f"make move-{part} STACK=dev" in result.stderr
    assert effects == []


# --- the way back -----------------------------------------------------------------------------------------------------


@parts
@pytest.mark.parametrize("action", ["check", "copy"])
def test_a_job_that_fails_leaves_flyte_on_what_it_used_before(home: Home, part: str, action: str):
    home.configure(**EXTERNAL[part])
    home.set(wrong=action)

    result, effects = home.make(f"move_{part}")

    assert result.returncode == 1
    assert result.stderr.splitlines()[-2] == "STOPPED  database: planted complaint"
    assert result.stderr.splitlines()[-1].startswith("Flyte uses the ")
    assert result.stderr.splitlines()[-1].endswith(" as before")
    assert "up" not in effects
    assert (home.uses, home.phase) == (("bundled", "bundled", 1), "")
    assert set(home.world["components"]) == {"Postgres", "Minio"}
    assert home.world["components"]["Postgres"]["protect"]


@pytest.mark.parametrize(
    ("part", "fails"),
    [
        ("database", "scale deployment/flyte-binary --replicas=0"),
        ("database", '"kind": "Secret"'),
        ("store", "patch job"),
    ],
)
def test_a_cluster_that_rejects_a_step_leaves_flyte_on_what_it_used_before(home: Home, part: str, fails: str):
    home.configure(**EXTERNAL[part])
    home.set(fails=fails)

    result, effects = home.make(f"move_{part}")

    assert result.returncode == 1
    assert "planted failure" in result.stderr
    assert "up" not in effects
    assert (home.uses, home.phase) == (("bundled", "bundled", 1), "")


def test_flyte_that_something_starts_during_the_copy_stops_the_move(home: Home):
    home.configure(**EXTERNAL["store"])
    program = home.machine.folder / "bin" / "kubectl"
    text = program.read_text()
    program.write_text(
        text.replace(
            'effect("job " + action(content))',
            'world["replicas"] = 1 if action(content) == "leave" else world["replicas"]',
        )
    )

    result, effects = home.make("move_store")

    assert result.returncode == 1
    assert "something has started Flyte during the copy" in result.stderr
    assert "up" not in effects
    assert home.uses == ("bundled", "bundled", 1)


def test_a_run_that_another_one_has_taken_over_changes_nothing_back(home: Home):
    home.configure(**EXTERNAL["database"])
    home.set(hangs="copy")
    process = started(home, "database", "job copy")
    taken = home.world["move"]
    taken["data"]["move"] = json.dumps({**json.loads(taken["data"]["move"]), "run": "another"})
    home.set(move=taken)

    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "Nothing was changed back: the other run decides" in errors
    assert (home.uses, home.phase) == (("bundled", "bundled", 0), "begun")


@parts
def test_an_update_that_fails_before_it_switches_flyte_goes_back(home: Home, part: str):
    home.configure(**EXTERNAL[part])
    home.set(fails="pulumi up --refresh --run-program --skip-preview")

    result, effects = home.make(f"move_{part}")

    assert result.returncode == 1
    assert "the new mode could not be deployed" in result.stderr
    assert effects[-2:][-1] == "forget"
    assert "scale 1" in effects
    assert (home.uses, home.phase) == (("bundled", "bundled", 1), "")
    assert not [one for one in effects if "LOST" in one]


@parts
def test_a_stack_that_does_not_work_after_the_switch_is_checked_again_by_the_next_run(home: Home, part: str):
    home.configure(**EXTERNAL[part])
    (home.machine.folder / "broken").touch()

    result, _ = home.make(f"move_{part}")
    (home.machine.folder / "broken").unlink()
    again, effects = home.make(f"move_{part}")

    assert result.returncode == 1
    assert "Everything was moved, and Flyte uses the" in result.stderr
    assert f"make move-{part} STACK=dev again" in result.stderr
    assert again.returncode == 0, again.stderr
    assert effects == ["record switching", "up", "record switched", "smoke dev", "job settle", "forget"]
    assert home.uses == wanted(part)


@parts
def test_what_is_wrong_after_the_switch_may_be_corrected_with_make_up(home: Home, part: str):
    home.configure(**EXTERNAL[part])
    (home.machine.folder / "broken").touch()
    home.make(f"move_{part}")

    result, effects = home.make("up")

    assert result.returncode == 0, result.stderr
    assert effects == ["up"]


# --- interrupted and killed -------------------------------------------------------------------------------------------


def started(home: Home, part: str, until: str) -> subprocess.Popen[str]:
    """A move that has had an effect."""
    (home.machine.folder / "effects").write_text("")
    process = subprocess.Popen(
        [sys.executable, "-m", f"ops.move_{part}", "dev"],
        cwd=home.machine.folder / "program",
        env={**home.machine.environment, "PULUMI_CONFIG_PASSPHRASE": "x"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while until not in home.effects:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, home.effects
        time.sleep(0.05)
    # Until it follows the log of its Job.
    time.sleep(1)
    return process


@pytest.mark.parametrize(("part", "action"), [("database", "check"), ("store", "copy")])
def test_ctrl_c_goes_back(home: Home, part: str, action: str):
    home.configure(**EXTERNAL[part])
    home.set(hangs=action)
    process = started(home, part, f"job {action}")

    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "STOPPED  interrupted\nFlyte uses the " in errors
    assert (home.uses, home.phase) == (("bundled", "bundled", 1), "")


@pytest.mark.parametrize(("part", "action"), [("store", "check"), ("database", "copy")])
def test_after_a_kill_the_next_run_begins_again_and_up_and_restore_refuse(home: Home, part: str, action: str):
    home.configure(**EXTERNAL[part])
    home.set(hangs=action)
    process = started(home, part, f"job {action}")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert home.phase == "begun"
    home.set(hangs="", secrets=[])

    refused, first = home.make("up")
    other, second = home.make("move_store" if part == "database" else "move_database")
    result, effects = home.make(f"move_{part}")

    for one in (refused, other):
        assert one.returncode == 1
        assert f"a move of the {part} from" in one.stderr
        assert f"make move-{part} STACK=dev" in one.stderr
    assert first == second == []
    assert result.returncode == 0, result.stderr
    assert "An earlier run was interrupted: beginning again" in result.stdout
    assert effects == [*copying(part), *SWITCHING]
    assert home.uses == wanted(part)


@parts
def test_after_a_kill_the_old_mode_in_the_stack_file_means_to_go_back(home: Home, part: str):
    home.configure(**EXTERNAL[part])
    home.set(hangs="copy")
    process = started(home, part, "job copy")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    home.set(hangs="", secrets=[])
    home.configure(**BUNDLED[part])

    result, effects = home.make(f"move_{part}")

    assert result.returncode == 0, result.stderr
    assert "nothing was moved; Flyte uses the" in result.stdout
    assert effects[0] == "scale 1"
    assert effects[-1] == "forget"
    assert (home.uses, home.phase) == (("bundled", "bundled", 1), "")
    assert set(home.world["components"]) == {"Postgres", "Minio"}


@parts
def test_a_kill_during_the_switch_is_finished_by_the_next_run(home: Home, part: str):
    home.configure(**EXTERNAL[part])
    home.set(kills="pulumi up --refresh --run-program --skip-preview")

    _, first = home.make(f"move_{part}")
    assert home.phase == "switching"
    home.set(kills="")
    result, effects = home.make(f"move_{part}")

    assert first[-1] == "up"
    assert result.returncode == 0, result.stderr
    assert "has switched Flyte to" in result.stdout
    assert effects == ["record switching", "up", "record switched", "smoke dev", "job settle", "forget"]
    assert home.uses == wanted(part)


def test_two_runs_at_once_do_not_disturb_each_other(home: Home):
    part = "database"
    home.configure(**EXTERNAL[part])
    home.set(hangs="copy")
    process = started(home, part, "job copy")
    try:
        refused, _ = home.machine.make(f"move_{part}", "dev", PULUMI_CONFIG_PASSPHRASE="x")
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=60)

    assert refused.returncode == 1
    assert f"move-{part}: process {process.pid} on this machine is moving the {part} of dev" in refused.stderr
