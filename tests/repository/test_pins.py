"""Renovate finds every pin: its own patterns are applied to the files of this repository."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from paths import ROOT
from settings.chart import PINNED_CHART
from settings.images import IMAGES

CONFIG = json.loads((ROOT / "renovate.json").read_text())
LOCKS = [
    ROOT / "requirements.txt",
    ROOT / "requirements-dev.txt",
    *sorted(path for folder in ("ops", "tests") for path in ROOT.glob(f"{folder}/tools/*/requirements.txt")),
]


def found(path: str) -> list[dict[str, Any]]:
    """The matches of the patterns that apply to a file."""
    managers = [
        manager
        for manager in CONFIG["customManagers"]
        if any(re.search(pattern.strip("/"), path) for pattern in manager["managerFilePatterns"])
    ]
    text = (ROOT / path).read_text()
    return [
        {**match.groupdict(), "datasource": manager["datasourceTemplate"]}
        for manager in managers
        for pattern in manager["matchStrings"]
        for match in re.finditer(pattern.replace("(?<", "(?P<"), text)  # named groups in JavaScript
    ]


def test_renovate_finds_every_image_with_its_tag_and_digest():
    pins = [(entry["depName"], entry["currentValue"], entry["currentDigest"]) for entry in found("settings/images.py")]

    assert pins == [(image.repository, image.tag, image.digest) for image in IMAGES.values()]


def test_renovate_finds_the_chart_with_its_repository():
    assert found("charts/flyte-binary/chart.yaml") == [
        {
            "depName": PINNED_CHART.name,
            "registryUrl": PINNED_CHART.repository,
            "currentValue": PINNED_CHART.version,
            "datasource": "helm",
        }
    ]


def test_renovate_finds_the_pulumi_cli():
    assert len(found(".github/actions/setup/action.yml")) == 1


def test_renovate_finds_every_program_that_make_downloads():
    tools = yaml.safe_load((ROOT / "ops" / "tools" / "tools.yaml").read_text())
    # Pulumi and its plugins have the versions of the Python packages, where Renovate finds them.
    versions = [tool["version"] for name, tool in tools.items() if not name.startswith("pulumi")]

    assert [entry["currentValue"] for entry in found("ops/tools/tools.yaml")] == versions


def test_renovate_can_compare_the_tags_of_the_object_store():
    (rule,) = [rule for rule in CONFIG["packageRules"] if "versioning" in rule]
    pattern = rule["versioning"].removeprefix("regex:").replace("(?<", "(?P<")

    for name in ("minio", "mc"):
        assert IMAGES[name].repository in rule["matchPackageNames"]
        assert re.fullmatch(pattern, IMAGES[name].tag or "")


def test_every_rule_matches_an_existing_package():
    names = {image.repository for image in IMAGES.values()} | {PINNED_CHART.name}
    names |= set(re.findall(r'"([\w-]+)==', (ROOT / "pyproject.toml").read_text()))

    assert {name for rule in CONFIG["packageRules"] for name in rule.get("matchPackageNames", [])} <= names


@pytest.mark.parametrize("file", LOCKS, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_lock_file_begins_with_the_command_for_renovate_and_names_no_host(file: Any):
    patterns = [pattern.strip("/") for pattern in CONFIG["pip-compile"]["managerFilePatterns"]]
    text = file.read_text()

    assert any(re.search(pattern, str(file.relative_to(ROOT))) for pattern in patterns)
    assert re.match(r"#.*\n#    uv pip compile --generate-hashes --universal (--[\w-]+=\S+ )*\S+\n[a-z]", text)
    assert "://" not in text
    assert "index" not in text.splitlines()[1]


def test_packages_are_installed_from_the_lock_files_alone():
    # Where a package asks for `coverage[toml]`, pip resolves that apart from the locked `coverage==...`: as soon as a
    # newer version is published, it takes that one, and ends because it has no hash.
    image = ROOT / "examples" / "remedy_tidal" / "Dockerfile"
    sources = [ROOT / "Makefile", image, *(ROOT / "tests").rglob("*.py"), *(ROOT / "ops").rglob("*.py")]
    commands = [
        line
        for source in sources
        if source.resolve() != Path(__file__).resolve()
        for line in source.read_text().splitlines()
        if "--require-hashes" in line
    ]

    assert len(commands) == 5
    assert [command for command in commands if "--no-deps" not in command] == []


def test_the_lock_file_has_every_package_that_its_packages_need():
    checked = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True)

    assert (checked.returncode, checked.stdout.strip()) == (0, "No broken requirements found.")
