"""The working directory of the secrets webhook, out of which no path of a request leads."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.processes import workspace
from tests.scripts.conftest import SCRIPTS

# In place of Flyte: reads the files that requests name as Flyte does, which shortens a path before it uses it
# (https://github.com/flyteorg/flyte/blob/v1.16.8/flytepropeller/pkg/controller/nodes/task/secretmanager/secrets.go).
PROGRAM = """#!{python}
import json, posixpath, sys

def read(group, key):
    path = posixpath.normpath("/".join(["global", group, key]).replace("//", "/"))
    try:
        with open(path, "rb") as file:
            return file.read(1000).decode(errors="replace")
    except (OSError, ValueError):
        return None

with open({requests!r}) as requests:
    answers = [read(group, key) for group, key in json.load(requests)]
json.dump({{"answers": answers, "arguments": sys.argv[1:]}}, sys.stdout)
"""


class Webhook:
    """The script with a program in place of Flyte, in a folder that stands for the pod."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.secrets = folder, folder / "etc" / "secrets"
        for name in ("bin", "jail", "etc"):
            (folder / name).mkdir()
        (folder / "etc" / "config.yaml").write_text("of the pod")
        program = folder / "bin" / "flytepropeller"
        program.write_text(PROGRAM.format(python=sys.executable, requests=str(folder / "requests")))
        program.chmod(0o700)

    def run(self, requests: Sequence[tuple[str, str]]) -> dict[str, Any]:
        (self.folder / "requests").write_text(json.dumps(requests))
        environment = {
            "PATH": f"{self.folder / 'bin'}:/usr/bin:/bin",
            "JAIL": str(self.folder / "jail"),
            "GLOBAL": str(self.secrets),
            "CONFIG": str(self.folder / "etc" / "config.yaml"),
        }
        command = ["/bin/sh", str(SCRIPTS / "webhook" / "serve.sh")]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return json.loads(ran.stdout)

    def answers(self, *requests: tuple[str, str]) -> list[str | None]:
        return self.run(requests)["answers"]


@pytest.fixture
def webhook() -> Any:
    # Outside pytest's own folders, whose long paths would leave too little of what a path may have.
    with workspace() as work:
        yield Webhook(work.path)
        # shutil.rmtree goes as deep as Python's stack allows.
        subprocess.run(["rm", "-rf", str(work.path / "jail")], check=True)


@pytest.mark.parametrize("name", ["etc/passwd", "proc/self/environ", "proc/self/cmdline", "dev/zero"])
def test_no_number_of_steps_upwards_leads_to_a_file(webhook: Webhook, name: str):
    found = webhook.answers(*(("../" * steps + name, "x") for steps in range(0, 1500, 50)))
    found += webhook.answers(*(("../" * steps + name.split("/")[0], name.split("/", 1)[1]) for steps in range(1, 1500)))

    assert {answer for answer in found if answer} == set()


def test_the_files_of_the_pod_can_be_reached_neither_absolutely_nor_relatively(webhook: Webhook):
    config = str(webhook.folder / "etc" / "config.yaml")
    groups = ["/", "//", "", ".", "..", "../..", "d", "d/../..", "global", "global/..", "../global", "\0", "*", "~"]
    requests = [(group, key) for group in groups for key in (config, config[1:], "etc/config.yaml", "config.yaml", ".")]

    assert {answer for answer in webhook.answers(*requests) if answer} == set()


def test_the_longest_path_that_linux_accepts_does_not_lead_out(webhook: Webhook):
    # One byte less than PATH_MAX, and every length around it.
    requests = [("../" * 1360 + "." * count, "x") for count in range(20)] + [("../" * 1364, "etc"), ("../" * 1365, "")]

    assert {answer for answer in webhook.answers(*requests) if answer} == set()


def test_what_is_meant_to_be_global_is_found_and_nothing_beside_it(webhook: Webhook):
    (webhook.secrets / "spotify").mkdir(parents=True)
    (webhook.secrets / "spotify" / "json").write_text("of spotify")

    assert webhook.answers(
        ("spotify", "json"),
        ("./spotify", "json"),
        ("other/../spotify", "json"),
        ("spotify", "other"),
        ("../config.yaml", ""),
        ("spotify/../../config.yaml", ""),
        ("..", "config.yaml"),
    ) == ["of spotify", "of spotify", "of spotify", None, None, None, None]


def test_flyte_is_started_with_its_configuration_also_after_the_container_has_restarted(webhook: Webhook):
    expected = ["webhook", "--config", str(webhook.folder / "etc" / "config.yaml")]

    # A restarted container finds the directories that the first one has created.
    assert [webhook.run([])["arguments"] for _ in range(2)] == [expected, expected]


def test_a_program_that_starts_elsewhere_would_be_led_out(webhook: Webhook):
    """The negative control: the attack works where there is no jail."""
    (webhook.folder / "requests").write_text(json.dumps([("../../etc/config.yaml", "")]))
    command = [str(webhook.folder / "bin" / "flytepropeller")]

    ran = subprocess.run(command, cwd=webhook.folder / "bin", capture_output=True, text=True, check=True)

    assert json.loads(ran.stdout)["answers"] == ["of the pod"]
