"""``make upgrade``: its steps, the copy of the database to another volume, and the way back."""

import json
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.commands.stack_on_machine import StackOnMachine
from tests.commands.test_up import UID, Machine, machine, of_pulumi  # noqa: F401 (a fixture)

OLD, NEW = "docker.io/library/postgres:15.9", "docker.io/library/postgres:17.11"
ROWS = {"public.executions": 92, "public.executions_id_seq": 94}
# The cluster: one server, its volumes with their rows, and a record.
_KUBECTL = """
import json, os, pathlib, sys
place = pathlib.Path({world!r})
before, words = place.read_text(), " ".join(sys.argv[1:])
world = json.loads(before)
pathlib.Path({log!r}).open("a").write("kubectl " + words + "\\n")
if world["fails"] and world["fails"] in words:
    sys.exit("planted failure")
given = sys.stdin.read() if {{"exec", "apply", "create"}} & set(sys.argv) and "pg_dump" not in words else ""
rows = world["rows"]
if "kube-system" in words:
    print({uid!r}, end="")
elif "get statefulset" in words and world["claim"]:
    volume = {{"persistentVolumeClaim": {{"claimName": world["claim"]}}}}
    spec = {{"containers": [{{"image": world["image"]}}], "volumes": [volume]}}
    print(json.dumps({{"kind": "StatefulSet", "spec": {{"template": {{"spec": spec}}}}}}))
elif "PG_VERSION" in words:
    sys.exit("the pod is not running") if world["down"] else print(world["majors"][world["claim"]])
elif "df -Pk" in words:
    print("Filesystem\\n/dev/sda 1 1", world["free"], "1% /data")
elif "psql" in words and "pg_tables" in given:
    chosen = world["scratch"] if "flyte_upgrade" in words else rows[world["claim"]]
    print("\\n".join(f"{{name}}|{{number}}" for name, number in chosen.items()), end="")
elif "psql" in words and "pg_database_size" in given:
    print(world["size"])
elif "psql" in words and "RENAME" in given:
    rows[world["claim"]] = world["scratch"]
elif "pg_dump" in words:
    print("DUMP" + json.dumps(rows[world["claim"]]))
elif "--file=/dev/null" in words and world["damaged"]:
    sys.exit("could not read from input file: end of file")
elif "--dbname=flyte_upgrade" in words:
    world["scratch"] = json.loads(given.removeprefix("DUMP"))
elif "scale" in words:
    world["replicas"] = int(words.partition("--replicas=")[2].split()[0])
elif "get pods" in words and "--selector" in words:
    print("pod/flyte-binary-1" if world["replicas"] else "")
elif "apply" in words:
    world["record"] = json.loads(given)
elif "get configmap flyte-home-record" in words:
    print(json.dumps(world["record"]) if world["record"] else "")
elif "get persistentvolumeclaim " in words:
    print('{{"metadata": {{}}}}' if sys.argv[sys.argv.index("persistentvolumeclaim") + 1] in rows else "")
elif "get persistentvolumeclaims" in words:
    print("\\n".join("persistentvolumeclaim/" + name for name in [*rows, "minio-data"]))
elif "delete persistentvolumeclaim" in words:
    for name in sys.argv:
        rows.pop(name, None)
elif "logs postgres-version" in words:
    print(world["answer"])
elif "get" in words:
    print('{{"items": []}}')
# Other calls run at the same time, so this is written at once, and only if it has changed.
if world != json.loads(before):
    new = place.with_name(f"world-{{os.getpid()}}.json")
    new.write_text(json.dumps(world))
    new.replace(place)
"""
_PULUMI = """
import json, pathlib, re, sys
import yaml
log, place, program = pathlib.Path({log!r}), pathlib.Path({world!r}), pathlib.Path({program!r})
arguments = sys.argv[1:]
log.open("a").write("pulumi " + " ".join(arguments) + "\\n")
world = json.loads(place.read_text())
if world["fails"] and world["fails"] in "pulumi " + " ".join(arguments):
    sys.exit("planted failure")
file = program / "Pulumi.dev.yaml"
config = (content := yaml.safe_load(file.read_text()))["config"]
if arguments[:2] == ["stack", "export"]:
    kind, urn = "kubernetes:core/v1:PersistentVolumeClaim", "urn:of:"
    resources = [{{"urn": urn + name, "type": kind, "id": "flyte/" + name}} for name in world["declared"]]
    print(json.dumps({{"deployment": {{"resources": resources}}}}))
if arguments[0] == "config" and "--path" in arguments:
    key, _, path = arguments[arguments.index("--path") + 1].partition(".")
    name, _, index = path.partition("[")
    part = config.setdefault(key, {{}})
    value = arguments[arguments.index("--path") + 2] if arguments[1] == "set" else None
    if arguments[1] == "rm":
        part.pop(name, None)
    elif index:
        part.setdefault(name, []).append(int(value))
    else:
        part[name] = int(value) if value.isdigit() else value
    file.write_text(yaml.safe_dump(content))
if arguments[0] == "up":
    volumes = config.get("flyte-home:postgres", {{}})
    claims = [
        "postgres-data" + (f"-{{number}}" if number > 1 else "")
        for number in [volumes.get("volumeGeneration", 1), *volumes.get("keptVolumes", [])]
    ]
    world["claim"], world["declared"] = claims[0], claims
    world["image"] = config["flyte-home:images"]["postgres"]
    for name in claims:
        world["rows"].setdefault(name, {{}})
    world["majors"].setdefault(claims[0], re.search(r":(\\d+)", world["image"])[1])
    new = place.with_name("world-new.json")
    new.write_text(json.dumps(world))
    new.replace(place)
"""


@dataclass(frozen=True)
class Home(StackOnMachine):
    """A machine whose stack ``dev`` runs PostgreSQL 15, and whose stack file may name another image."""

    @property
    def record(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.world["record"]["data"]["record"])
        return found

    @property
    def dump(self) -> Path:
        return self.machine.folder / "program" / ".upgrade" / "dev.dump"

    def make(self, command: str, *arguments: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
        """Run a command; return its result, and what it had Pulumi and kubectl change, in order."""
        (self.machine.folder / "log").unlink(missing_ok=True)
        result, log = self.machine.make(command, "dev", *arguments)
        assert "Traceback" not in result.stdout + result.stderr, result.stderr
        words = ("pulumi up", "pulumi preview", "scale", "pg_dump", "pg_restore")
        return result, [word for line in log.splitlines() for word in words if word in line]


@pytest.fixture
def home(machine: Machine) -> Home:  # noqa: F811
    found = Home(machine)
    world = {"image": OLD, "claim": "postgres-data", "majors": {"postgres-data": 15}, "rows": {"postgres-data": ROWS}}
    world |= {"scratch": {}, "replicas": 1, "record": None, "fails": "", "down": False, "damaged": False, "answer": ""}
    world |= {"free": 10_000_000, "size": 10_000_000, "declared": ["postgres-data"]}
    places = {
        "log": str(machine.folder / "log"),
        "world": str(machine.folder / Home.WORLD),
        "program": str(machine.folder / "program"),
    }
    Path(places["world"]).write_text(json.dumps(world))
    machine.put("pulumi", _PULUMI.format(**places))
    machine.put("kubectl", _KUBECTL.format(uid=UID, **places))
    (machine.folder / "program" / "ops" / "smoke.py").write_text(
        f"import pathlib, sys\nsys.exit(pathlib.Path({str(machine.folder / 'broken')!r}).exists() and 'it is broken')\n"
    )
    found.configure(images={"postgres": OLD})
    return found


# --- what make up rejects -----------------------------------------------------------------------------------------


def changes(log: list[str]) -> list[str]:
    return [word for word in log if word != "pulumi preview"]


def test_make_up_rejects_another_major_version_and_names_make_upgrade(home: Home):
    home.configure(images={"postgres": NEW})

    result, log = home.make("up")

    assert result.returncode == 1
    (said,) = [line for line in result.stderr.splitlines() if not line.startswith("warning: ")]
    assert said.startswith("flyte-home:images.postgres: is PostgreSQL 17, which cannot read the files of")
    assert "make upgrade STACK=dev" in result.stderr
    assert f"keep the image: pulumi config set --path flyte-home:images.postgres {OLD}" in result.stderr
    assert changes(log) == []


@pytest.mark.parametrize("command", ["up", "upgrade"])
def test_no_database_goes_back_to_an_earlier_major_version(home: Home, command: str):
    home.configure(images={"postgres": "docker.io/library/postgres:14.2"})

    result, log = home.make(command)

    assert result.returncode == 1
    assert "is PostgreSQL 14, but the database is of PostgreSQL 15, and none can go back" in result.stderr
    assert changes(log) == []


@pytest.mark.parametrize("image", [OLD, "docker.io/library/postgres:15.17", "mirror.home/postgres:15-alpine"])
def test_another_image_of_the_same_major_version_needs_no_copy(home: Home, image: str):
    home.configure(images={"postgres": image})

    result, log = home.make("up")

    assert result.returncode == 0, result.stderr
    assert changes(log) == ["pulumi up"]


def test_an_image_may_be_corrected_while_the_server_does_not_run(home: Home):
    home.set(down=True)
    home.configure(images={"postgres": NEW})

    assert home.make("up")[0].returncode == 0


DIGEST = f"mirror.home/postgres@sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("answer", "code", "says"),
    [
        ("postgres (PostgreSQL) 15.17 (Debian 15.17-1)", 0, ""),
        ("postgres (PostgreSQL) 18.1", 1, "is PostgreSQL 18, which cannot read the files of PostgreSQL 15"),
        ("", 1, "names no major version of PostgreSQL, and the image did not answer"),
    ],
)
def test_an_image_whose_tag_names_no_version_is_asked(home: Home, answer: str, code: int, says: str):
    home.set(answer=answer)
    home.configure(images={"postgres": DIGEST})

    result, _ = home.make("up")

    assert result.returncode == code, result.stderr
    assert says in result.stderr
    log = (home.machine.folder / "log").read_text()
    assert log.count("delete pod postgres-version-") == 1


def test_make_up_does_not_change_the_volume_of_the_database(home: Home):
    home.configure(postgres={"volumeGeneration": 2})

    result, log = home.make("up")

    assert result.returncode == 1
    assert (
        "flyte-home:postgres.volumeGeneration: is 2, but the database is on the volume postgres-data" in result.stderr
    )
    assert changes(log) == []


# --- the upgrade --------------------------------------------------------------------------------------------------


def test_an_upgrade_shows_the_preview_deploys_and_checks_and_records_that_it_has_ended(home: Home):
    result, log = home.make("upgrade")

    assert result.returncode == 0, result.stderr
    steps = [line for line in result.stdout.splitlines() if line.startswith("upgrade ")]
    assert steps == [
        "upgrade 1/4  backup",
        "upgrade 2/4  preview",
        "upgrade 3/4  deploy",
        "upgrade 4/4  doctor and smoke",
    ]
    assert log == ["pulumi preview", "pulumi up"]
    assert home.record["phase"] == "done"


@pytest.mark.parametrize(
    ("fails", "says", "ran"),
    [
        ("pulumi preview", "the preview has failed. Nothing was changed", ["pulumi preview"]),
        ("pulumi up", "the update has failed", ["pulumi preview", "pulumi up"]),
    ],
)
def test_an_upgrade_stops_at_the_first_step_that_fails(home: Home, fails: str, says: str, ran: list[str]):
    home.set(fails=fails)

    result, log = home.make("upgrade")

    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith(f"STOPPED  {says}")
    assert log == ran


def test_a_stack_that_does_not_work_afterwards_names_the_way_back(home: Home):
    (home.machine.folder / "broken").touch()

    result, _ = home.make("upgrade")

    assert result.returncode == 1
    assert "everything is deployed, but does not work" in result.stderr
    assert "make upgrade BACK=yes STACK=dev" in result.stderr
    assert home.record["phase"] == "deploying"


def test_a_protected_stack_without_a_backup_target_needs_your_word(home: Home):
    home.configure(protect="true")

    rejected, log = home.make("upgrade")
    agreed, _ = home.make("upgrade", "--no-backup")

    assert rejected.returncode == 1
    assert "no backup to go back to. Nothing was changed" in rejected.stderr
    assert "make upgrade BACKUP=no STACK=dev" in rejected.stderr
    assert log == []
    assert agreed.returncode == 0, agreed.stderr


@pytest.mark.parametrize(
    ("changed", "says"),
    [({"claim": ""}, "'dev' is not deployed yet; run make up"), ({"down": True}, "make doctor STACK=dev says why")],
)
def test_what_does_not_run_cannot_be_upgraded(home: Home, changed: dict[str, Any], says: str):
    home.set(**changed)

    result, log = home.make("upgrade")

    assert result.returncode == 1
    assert says in result.stderr
    assert log == []


# --- the copy of the database -------------------------------------------------------------------------------------

COPY = ["scale", "pg_dump", "pg_restore", "pulumi up", "pg_restore", "scale"]


def test_another_major_version_copies_the_database_to_a_new_volume(home: Home):
    home.configure(images={"postgres": NEW})

    result, log = home.make("upgrade")

    assert result.returncode == 0, result.stderr
    assert "upgrade 3/5  database: PostgreSQL 15 to 17, on postgres-data-2" in result.stdout
    assert log == ["pulumi preview", *COPY, "pulumi up"]
    assert home.config["flyte-home:postgres"] == {"volumeGeneration": 2, "keptVolumes": [1]}
    assert home.world["rows"] == {"postgres-data": ROWS, "postgres-data-2": ROWS}
    assert home.world["declared"] == ["postgres-data-2", "postgres-data"]
    assert (home.world["replicas"], home.world["image"]) == (1, NEW)
    assert not home.dump.exists()
    assert home.make("up")[0].returncode == 0


def test_only_the_database_is_deployed_while_flyte_is_stopped(home: Home):
    home.configure(images={"postgres": NEW})

    home.make("upgrade")

    ups = [line for line in of_pulumi((home.machine.folder / "log").read_text()) if line.startswith("up ")]
    assert ["--target urn:pulumi:dev::flyte-home::flyte-home:index:Postgres**" in line for line in ups] == [True, False]


# Words of the command that fails, whether make up is then rejected, and what is left to do.
STAGES = [
    ("pg_dump", True, COPY),
    ("--file=/dev/null", True, COPY),
    ("up --refresh --run-program --target", True, COPY),
    ("df -Pk", True, ["pulumi up", "pg_restore", "scale"]),
    ("--dbname=flyte_upgrade --no-owner", True, ["pulumi up", "pg_restore", "scale"]),
    ("--replicas=1", True, ["scale"]),
]


@pytest.mark.parametrize(("fails", "rejected", "rest"), STAGES)
def test_a_copy_that_has_stopped_goes_on(home: Home, fails: str, rejected: bool, rest: list[str]):
    home.configure(images={"postgres": NEW})
    home.set(fails=fails)
    stopped, _ = home.make("upgrade")
    home.set(fails="")
    up, _ = home.make("up")

    result, log = home.make("upgrade")

    assert stopped.returncode == 1
    assert (up.returncode == 1) is rejected
    assert ("an upgrade of the database has begun and has not ended" in up.stderr) is rejected
    assert result.returncode == 0, result.stderr
    if rejected:  # otherwise make up has ended it
        assert log == ["pulumi preview", *rest, "pulumi up"]
    assert home.world["rows"] == {"postgres-data": ROWS, "postgres-data-2": ROWS}
    assert home.world["replicas"] == 1
    assert not home.dump.exists()


@pytest.mark.parametrize("fails", [stage[0] for stage in STAGES])
def test_a_copy_that_has_stopped_can_go_back(home: Home, fails: str):
    home.configure(images={"postgres": NEW})
    home.set(fails=fails)
    home.make("upgrade")
    home.set(fails="")

    result, _ = home.make("upgrade", "--back")

    assert result.returncode == 0, result.stderr
    assert home.config["flyte-home:postgres"] == {}
    assert home.config["flyte-home:images"] == {"postgres": OLD}
    assert (home.world["claim"], home.world["image"], home.world["replicas"]) == ("postgres-data", OLD, 1)
    assert home.world["rows"]["postgres-data"] == ROWS
    assert not home.dump.exists()
    assert home.make("up")[0].returncode == 0


def test_the_dump_of_a_copy_that_has_stopped_is_private(home: Home):
    home.configure(images={"postgres": NEW})
    home.set(fails="up --refresh --run-program --target")

    home.make("upgrade")

    assert stat.S_IMODE(home.dump.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.dump.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("lost", [True, False])
def test_a_dump_that_is_lost_or_changed_is_not_restored(home: Home, lost: bool):
    home.configure(images={"postgres": NEW})
    home.set(fails="df -Pk")
    home.make("upgrade")
    home.set(fails="")
    home.dump.unlink()
    if not lost:
        home.dump.write_text("DUMP{}")

    result, log = home.make("upgrade")

    assert result.returncode == 1
    assert "is not there any more, or not the one that was verified" in result.stderr
    assert "make upgrade BACK=yes STACK=dev" in result.stderr
    assert changes(log) == []
    assert home.make("upgrade", "--back")[0].returncode == 0


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"size": 10**15}, "the dump of the database may take"),
        ({"size": 6 * 2**30}, "flyte-home:postgres.volume.size: is 10Gi, but a copy of the database needs 12288 MiB"),
    ],
)
def test_a_copy_without_room_does_not_begin(home: Home, changed: dict[str, Any], says: str):
    home.configure(images={"postgres": NEW})
    home.set(**changed)

    result, log = home.make("upgrade")

    assert result.returncode == 1
    assert says in result.stderr
    assert "Nothing was changed" in result.stderr
    assert log == []
    assert "flyte-home:postgres" not in home.config


def test_a_new_volume_that_is_too_small_after_all_is_not_filled(home: Home):
    home.configure(images={"postgres": NEW})
    home.set(free=1)

    result, log = home.make("upgrade")

    assert result.returncode == 1
    assert "the new volume has 0.0 MiB free" in result.stderr
    assert log[-1] == "pulumi up"
    assert home.make("upgrade", "--back")[0].returncode == 0


def test_a_damaged_dump_does_not_reach_the_new_volume(home: Home):
    home.configure(images={"postgres": NEW})
    home.set(damaged=True)

    result, log = home.make("upgrade")

    assert result.returncode == 1
    assert "end of file" in result.stderr
    assert "pulumi up" not in log


def test_a_preview_that_fails_leaves_the_stack_file_as_it_was(home: Home):
    home.configure(images={"postgres": NEW})
    home.set(fails="pulumi preview")
    before = home.file.read_bytes()

    home.make("upgrade")

    assert home.file.read_bytes() == before


def test_a_volume_that_is_there_already_is_not_overwritten(home: Home):
    home.configure(images={"postgres": NEW}, postgres={"volumeGeneration": 2})
    home.set(rows={"postgres-data": ROWS, "postgres-data-2": {"public.other": 1}})

    result, log = home.make("upgrade")

    assert result.returncode == 1
    assert "there is a volume postgres-data-2 already" in result.stderr
    assert "Set it to 3" in result.stderr
    assert log == []


# --- the way back, and its end ------------------------------------------------------------------------------------


def test_going_back_after_an_upgrade_keeps_what_was_written_since(home: Home):
    home.configure(images={"postgres": NEW})
    home.make("upgrade")
    later = ROWS | {"public.executions": 100}
    home.set(rows=home.world["rows"] | {"postgres-data-2": later})

    result, _ = home.make("upgrade", "--back")

    assert result.returncode == 0, result.stderr
    assert home.world["claim"] == "postgres-data"
    assert home.world["declared"] == ["postgres-data"]
    assert home.world["rows"] == {"postgres-data": ROWS, "postgres-data-2": later}
    # Another attempt does not use the volume again.
    home.configure(images={"postgres": NEW})
    assert "on postgres-data-3" in home.make("upgrade")[0].stdout


@pytest.mark.parametrize("fails", ["--replicas=0", "--target", "state unprotect", "--replicas=1"])
def test_going_back_goes_on_where_it_has_stopped(home: Home, fails: str):
    home.configure(images={"postgres": NEW})
    home.make("upgrade")
    home.set(fails=fails)
    stopped, _ = home.make("upgrade", "--back")
    home.set(fails="")

    assert stopped.returncode == 1
    for command in ("up", "upgrade"):
        result, log = home.make(command)
        assert result.returncode == 1
        assert "make upgrade BACK=yes STACK=dev" in result.stderr
        assert log == []
    assert home.make("upgrade", "--back")[0].returncode == 0
    assert home.world["claim"] == "postgres-data"


def test_without_an_upgrade_there_is_no_way_back(home: Home):
    result, log = home.make("upgrade", "--back")

    assert result.returncode == 1
    assert "BACK: no upgrade of dev is recorded" in result.stderr
    assert log == []


def test_an_upgrade_that_changed_nothing_has_no_way_back(home: Home):
    home.make("upgrade")

    result, log = home.make("upgrade", "--back")

    assert result.returncode == 1
    assert "has changed neither the commit nor the volume of the database" in result.stderr
    assert log == []


def test_the_old_volume_is_deleted_only_when_you_say_so(home: Home):
    home.configure(images={"postgres": NEW})
    home.make("upgrade")

    result, _ = home.make("upgrade", "--drop-old-volume")

    assert result.returncode == 0, result.stderr
    assert home.world["rows"] == {"postgres-data-2": ROWS}
    assert home.world["declared"] == ["postgres-data-2"]
    assert "state unprotect" in (home.machine.folder / "log").read_text()
    assert home.config["flyte-home:postgres"] == {"volumeGeneration": 2}
    again, log = home.make("upgrade", "--drop-old-volume")
    assert "postgres-data-2 is the only volume" in again.stdout
    assert log == []
    assert "no upgrade of dev is recorded" in home.make("upgrade", "--back")[0].stderr


def test_no_volume_is_deleted_before_the_upgrade_has_ended(home: Home):
    home.configure(images={"postgres": NEW})
    home.set(fails="df -Pk")
    home.make("upgrade")
    home.set(fails="")

    result, log = home.make("upgrade", "--drop-old-volume")

    assert result.returncode == 1
    assert "Nothing was deleted" in result.stderr
    assert log == []
    assert set(home.world["rows"]) == {"postgres-data", "postgres-data-2"}
