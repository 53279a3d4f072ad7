"""A machine whose stack ``dev`` has a backup, with stand-ins for kubectl, Pulumi and Flyte that write down effects."""

import json
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.commands.backup_stand_ins import KUBECTL, PULUMI
from tests.commands.stack_on_machine import StackOnMachine
from tests.commands.test_up import UID, Machine
from tests.conftest import run
from tests.processes import free_port

TARGET = {"target": "s3:https://nas.home:9000/bucket/flyte", "accessKeyId": "flyte-backup"}
CREDENTIALS, PASSPHRASE = "planted-store-secret", "planted-passphrase"
OLD_ROWS = {"public.executions": 92, "public.workflows": 3}
NEW_ROWS = {"public.executions": 40, "public.workflows": 2}
FIRST, SECOND, POINT = "a1" * 32, "b2" * 32, "c3" * 32
CRON_JOBS = ("backup", "backup-check", "backup-restore", "backup-drill")


def a_set(name: str, hours: float = 1, **changed: Any) -> dict[str, Any]:
    """A verified set that was made some hours ago, as the repository lists it."""
    made = datetime.now(UTC) - timedelta(hours=hours)
    found = {
        "id": name,
        # restic writes nanoseconds.
        "time": made.isoformat().replace("+00:00", "123Z"),
        "label": "schedule",
        "state": "sealed",
        "rows": 95,
        "objects": 7,
        "bytes": 3 << 20,
        "added": 2048,
        "verified": made.isoformat(),
        "drilled": None,
        "drill_failed": None,
    }
    return found | changed


@dataclass(frozen=True)
class BackedUp(StackOnMachine):
    """The machine, its cluster, and the effects that a command has had, in their order."""

    WORLD = "cluster.json"

    @classmethod
    def on(cls, machine: Machine, deploys: bool = False) -> "BackedUp":
        """Put the stand-ins on a machine, and a backup into its stack file.

        Args:
            machine: the machine.
            deploys: whether it has stand-ins that deploy: its Pulumi stays, and its kubectl answers everything else.
        """
        found = cls(machine)
        recorded = run(backup=TARGET, backupCredentials=CREDENTIALS)
        templates = {name: recorded.one("CronJob", name).manifest for name in CRON_JOBS}
        for template in templates.values():
            template["metadata"]["uid"] = "uid-of-the-cron-job"
        world: dict[str, Any] = {"sets": [a_set(FIRST, 30), a_set(SECOND, 6)], "recovery": 1, "fails": {}}
        world |= {"templates": templates, "jobs": {}, "created": [], "applied": [], "rejects": [], "stacks": []}
        world |= {"databases": {"flyte": OLD_ROWS}, "restored": NEW_ROWS, "replicas": 1, "down": False, "silent": False}
        world |= {"unreadable": False, "stuck": False, "log": "", "phase": "Succeeded"}
        names = {name: name for name in ("log", "effects", "program", "imported")}
        names |= {"world": cls.WORLD, "other": "bin/kubectl-of-the-machine"}
        places = {name: str(machine.folder / place) for name, place in names.items()}
        Path(places["world"]).write_text(json.dumps(world))
        if deploys:
            (machine.folder / "bin" / "kubectl").rename(places["other"])
        else:
            machine.put("pulumi", PULUMI.format(credentials=CREDENTIALS, **places))
        machine.put("kubectl", KUBECTL.format(uid=UID, point=POINT, **places))
        found.stub("smoke", "smoke")
        found.configure(
            backup=TARGET,
            backupCredentials={"secure": "v1:AAAA:AAAA"},
            clientEndpoints={"http": f"http://127.0.0.1:{free_port()}"},
        )
        return found

    def stub(self, command: str, effect: str) -> None:
        """Let a command of the program only have an effect; it fails if there is a file ``COMMAND-fails``."""
        program = f"""
import pathlib, sys
folder = pathlib.Path({str(self.machine.folder)!r})
for name in ("effects", "log"):
    (folder / name).open("a").write(" ".join(["{effect}", *sys.argv[1:]]) + "\\n")
sys.exit((folder / "{command}-fails").exists())
"""
        (self.machine.folder / "program" / "ops" / f"{command}.py").write_text(program)

    def let_fail(self, command: str) -> None:
        """Let a stub fail from now on."""
        (self.machine.folder / f"{command}-fails").touch()

    def make(
        self, command: str, *arguments: str, given: str = "", **environment: str
    ) -> tuple[subprocess.CompletedProcess[str], list[str]]:
        """Run a command; return its result and its effects. No planted secret may be in its output or its arguments."""
        (self.machine.folder / "effects").write_text("")
        variables = {"PULUMI_CONFIG_PASSPHRASE": PASSPHRASE} | environment
        result, log = self.machine.make(command, *arguments, given=given, **variables)
        assert "Traceback" not in result.stderr, result.stderr
        assert "planted-" not in result.stdout + result.stderr + log
        # Warnings about the settings are tested in tests/unit.
        lines = result.stderr.splitlines(keepends=True)
        result.stderr = "".join(line for line in lines if not line.startswith("warning: "))
        return result, (self.machine.folder / "effects").read_text().splitlines()
