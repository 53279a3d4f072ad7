"""The example as its users start it, in plain Python and under pyflyte, and the package that a cluster would get."""

import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from paths import ROOT
from tests.tools import require

EXAMPLE = ROOT / "examples" / "remedy_tidal"
MODULES = ["library.py", "mending.py", "workflow.py"]
# The task, and the map of it.
SEARCHES = ["workflow.find_gaps", "workflow.map of find_gaps"]
SUMMARY = "2 of 3 vanished tracks can be replaced"
REPORT = """\
playlist,position,artist,title,track_id,replacement,replacement_id
Sunday,2,John Coltrane,Naima,102,Naima (2020 Remaster),203
Long drive,2,NEU!,Hallogallo,104,Hallogallo 72,205
Long drive,3,NEU!,Super 16,105,,
"""
# Runs in the environment of the example, because only that one has Flyte's messages.
DECODE = """
import sys
from flyteidl.admin import task_pb2
from google.protobuf.json_format import MessageToJson
print(MessageToJson(task_pb2.TaskSpec.FromString(open(sys.argv[1], "rb").read())))
"""
OWN_LIBRARY = """
import workflow
from library import Playlist, Track

class Own:
    def __init__(self, credentials):
        self.user = credentials["user"]
    def playlists(self):
        return [Playlist(f"of {self.user}", [Track("1", "Naima", "John Coltrane", available=False)])]
    def search(self, track):
        return []

workflow.LIBRARIES["own"] = Own
print(open(workflow.remedy(library="own").report).read())
"""


def program(name: str) -> str:
    """A program of the example's environment."""
    path = EXAMPLE / ".venv" / "bin" / name
    if not path.is_file():
        pytest.skip("needs the environment of the example: make test-example creates it")
    return str(path)


def run(
    folder: Path,
    *command: str,
    secrets: Path | None = None,
    cwd: Path = EXAMPLE,
    variables: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """The result of a command without Flyte's variables from the outer environment; it writes below ``folder``."""
    environment = {name: value for name, value in os.environ.items() if not re.match("_?F(LYTE|SEC)", name)}
    environment |= {"TMPDIR": str(folder), "COLUMNS": "1000", "FLYTE_LOCAL_CACHE_ENABLED": "false", **(variables or {})}
    if secrets:
        environment["FLYTE_SECRETS_DEFAULT_DIR"] = str(secrets)
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False)


def secret(folder: Path, content: str) -> Path:
    """A folder in which the example's secret has this content."""
    (folder / "secrets" / "tidal-creds").mkdir(parents=True)
    (folder / "secrets" / "tidal-creds" / "json").write_text(content)
    return folder / "secrets"


def check_result(done: subprocess.CompletedProcess[str]) -> None:
    """Check that the summary and the path of the report were printed."""
    assert done.returncode == 0, done.stderr
    assert SUMMARY in done.stdout
    report = re.search(r"/\S+/report\.csv", done.stdout)
    assert report
    assert Path(report.group()).read_text() == REPORT


def test_plain_python_runs_the_example_with_the_sample(tmp_path: Path):
    check_result(run(tmp_path, program("python"), "workflow.py"))


def test_pyflyte_runs_the_example_locally(tmp_path: Path):
    check_result(run(tmp_path, program("pyflyte"), "run", "workflow.py", "remedy", secrets=EXAMPLE / "secrets"))


def with_packages(done: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    """The result of uv; skips the test if uv, which does not use pip's settings, reaches no package index."""
    if done.returncode and any(
        sign in done.stderr for sign in ("Failed to fetch", "not found in the package registry")
    ):
        said = done.stderr.strip().splitlines()[0]
        pytest.skip(f"needs a package index that uv reaches, see UV_DEFAULT_INDEX and SSL_CERT_FILE: {said}")
    return done


def test_uv_runs_the_script_without_preparation(tmp_path: Path):
    check_result(with_packages(run(tmp_path, str(require("uv")), "run", "workflow.py")))


@pytest.mark.parametrize("way", ["python", "local"])
def test_make_example_needs_no_variables(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    program("pyflyte")
    monkeypatch.setenv("PATH", f"{require('uv').parent}{os.pathsep}{os.environ['PATH']}")

    check_result(with_packages(run(tmp_path, sys.executable, "-m", "ops.example", way, cwd=ROOT)))


def test_the_locked_environment_matches_the_script():
    block = re.search(r"^# /// script\n((?:# .*\n)+)# ///$", (EXAMPLE / "workflow.py").read_text(), re.MULTILINE)
    assert block
    asked = tomllib.loads(re.sub("^# ", "", block.group(1), flags=re.MULTILINE))["dependencies"]

    locked = (EXAMPLE / "requirements.txt").read_text().splitlines()

    assert asked
    assert [package for package in asked if f"{package} \\" not in locked] == []


def test_a_library_is_opened_with_the_value_of_the_secret(tmp_path: Path):
    credentials = secret(tmp_path, '{"user": "someone"}')

    done = run(tmp_path, program("python"), "-c", OWN_LIBRARY, secrets=credentials)

    assert "of someone,1,John Coltrane,Naima,1,," in done.stdout, done.stderr


def test_a_missing_secret_is_reported_with_group_key_and_location(tmp_path: Path):
    done = run(tmp_path, program("pyflyte"), "run", "workflow.py", "remedy", secrets=tmp_path)

    assert done.returncode != 0
    assert f"the secret tidal-creds/json is not at {tmp_path}/tidal-creds/json;" in done.stdout + done.stderr


@pytest.mark.parametrize("content", ['{"token": "planted-token"', '["planted-token"]'])
def test_a_secret_that_is_not_a_json_object_is_rejected_without_its_content(content: str, tmp_path: Path):
    credentials = secret(tmp_path, content)

    done = run(tmp_path, program("pyflyte"), "run", "workflow.py", "remedy", secrets=credentials)

    assert done.returncode != 0
    assert "the secret tidal-creds/json is no JSON object with something in it" in done.stdout + done.stderr
    assert "planted" not in done.stdout + done.stderr


def test_an_unknown_library_is_rejected_with_a_list_of_the_existing_ones(tmp_path: Path):
    done = run(tmp_path, program("python"), "workflow.py", "--library", "spotify")

    assert done.returncode != 0
    assert "there is no library 'spotify'; LIBRARIES in workflow.py has offline" in done.stderr


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what is sent to Flyte when the workflow is registered."""
    folder = tmp_path_factory.mktemp("package")
    options = ["--image", "image:tag", "--copy", "auto", "--source", ".", "--output", str(folder / "out.tgz")]
    done = run(folder, program("pyflyte"), "--pkgs", "workflow", "package", *options)
    assert done.returncode == 0, done.stderr
    with tarfile.open(folder / "out.tgz") as archive:
        archive.extractall(folder, filter="data")
    return folder


def tasks(package: Path) -> dict[str, dict[str, Any]]:
    """The tasks of the package, by name."""
    specs = [
        json.loads(run(package, program("python"), "-c", DECODE, str(file)).stdout)["template"]
        for file in package.glob("*_1.pb")
    ]
    # The name of a map ends with a hash of its inputs.
    return {re.sub(r"map_(\w+)_[0-9a-f]{32}-arraynode", r"map of \1", spec["id"]["name"]): spec for spec in specs}


def test_only_the_tasks_that_read_the_secret_ask_for_it_and_as_a_file(package: Path):
    asked = {name: spec.get("securityContext", {}).get("secrets", []) for name, spec in tasks(package).items()}

    as_file = [{"group": "tidal-creds", "key": "json", "mountRequirement": "FILE"}]
    assert asked.pop("workflow.write_report") == []
    assert asked == dict.fromkeys(["workflow.read_playlists", *SEARCHES], as_file)


def test_the_tasks_leave_their_resources_to_the_project(package: Path):
    assert [spec["container"].get("resources", {}) for spec in tasks(package).values()] == [{}] * 4


def test_each_playlist_is_searched_on_its_own_and_only_once_while_it_does_not_change(package: Path):
    found = {name: spec["metadata"] for name, spec in tasks(package).items()}

    assert sorted(name for name, metadata in found.items() if metadata.get("discoverable")) == SEARCHES
    assert {found[name]["discoveryVersion"] for name in SEARCHES} == {"1"}


def launch_plan(folder: Path, **variables: str) -> dict[str, Any]:
    """The launch plan as it is registered."""
    folder.mkdir(exist_ok=True)
    options = ["--image", "image:tag", "--source", ".", "--output", str(folder / "out.tgz")]
    done = run(folder, program("pyflyte"), "--pkgs", "nightly", "package", *options, variables=variables)
    assert done.returncode == 0, done.stderr
    with tarfile.open(folder / "out.tgz") as archive:
        archive.extractall(folder, filter="data")
    (file,) = folder.glob("*_remedy_nightly_3.pb")
    decode = DECODE.replace("task_pb2.TaskSpec", "launch_plan_pb2.LaunchPlan").replace("task_pb2", "launch_plan_pb2")
    return json.loads(run(folder, program("python"), "-c", decode, str(file)).stdout)["spec"]["entityMetadata"]


def test_the_launch_plan_runs_every_night_and_mails_nobody_unless_told(tmp_path: Path):
    assert launch_plan(tmp_path) == {"schedule": {"cronSchedule": {"schedule": "0 4 * * *"}}}


def test_a_failed_execution_of_the_launch_plan_is_mailed(tmp_path: Path):
    addresses = ["me@home.example", "you@home.example"]
    found = launch_plan(tmp_path, REMEDY_NOTIFY=", ".join(addresses), REMEDY_CRON="0 5 * * *")

    assert found["schedule"]["cronSchedule"]["schedule"] == "0 5 * * *"
    assert found["notifications"] == [{"phases": ["FAILED", "TIMED_OUT"], "email": {"recipientsEmail": addresses}}]


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile, with their arguments."""
    lines = (EXAMPLE / "Dockerfile").read_text().splitlines()
    return [(line.split()[0], line.partition(" ")[2]) for line in lines if line and not line.startswith("#")]


def test_the_image_has_a_pinned_base_and_a_user_who_is_not_root():
    found = dict(instructions())

    assert re.fullmatch(r"docker\.io/library/python:3\.11\.\d+-slim-trixie@sha256:[0-9a-f]{64}", found["FROM"])
    assert found["USER"] == "1000:1000"


def test_the_image_has_only_locked_packages_and_the_bytecode_of_everything():
    commands = "\n".join(argument for name, argument in instructions() if name == "RUN")

    assert "pip install --no-cache-dir --compile" in commands
    assert "--requirement=/tmp/requirements.txt" in commands
    assert "compileall -q -x site-packages /usr/local/lib/python3.11" in commands
    assert instructions()[-1] == ("RUN", "python -m compileall -q .")


def test_the_image_contains_the_modules_of_the_workflow_and_docker_gets_nothing_else():
    copied = [word for name, argument in instructions() if name == "COPY" for word in argument.split()]
    sent = [line for line in (EXAMPLE / ".dockerignore").read_text().splitlines() if not line.startswith("#")]

    assert [word for word in copied if word.endswith(".py")] == MODULES
    assert sent[0] == "*"
    assert sorted(sent[1:]) == sorted(f"!{name}" for name in [*MODULES, "requirements.txt"])


def test_the_modules_of_the_example_are_uploaded_but_no_credentials(package: Path):
    (code,) = package.glob("fast*.tar.gz")
    with tarfile.open(code) as archive:
        # If the environment is a link to another one, the packaging program itself counts as a module.
        sent = {name for name in archive.getnames() if not name.startswith(".venv/")}

    assert sent == set(MODULES)
