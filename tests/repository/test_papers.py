"""Commands, settings, paths and links in the documentation exist."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops.lib.pages import settings_page
from paths import ROOT
from settings import FIELDS, PROJECT, settings_from
from settings.errors import SettingsError
from tests.conftest import SECRET_SETTINGS, stack
from tests.papers import PAPERS, code, commands, inline_code, links, table

# Papers in which every command is run by a test, or says that it needs a cluster.
STRICT = [
    ROOT / "CONTRIBUTING.md",
    *(ROOT / "docs" / f"{name}.md" for name in ("backup", "secrets", "testing", "upgrades")),
]
# Commands that need no cluster. The tests run them, or CI does, or tests/scripts/test_backup_steps.py.
RUN = re.compile(
    r"make (check|docs|versions|test(-[a-z]+)?|mutate|lock|plugins|render|ci-diff)\b"
    r"|uvx pre-commit install|git pull|tar |mkdir |mc (alias set|mirror) |pulumi stack change-secrets-provider"
)
_TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
_LAYERS = re.findall(r"^LAYERS := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[0].split()
_FOLDERS = "settings|components|ops|tests|docs|examples|charts|scripts"
# Settings whose keys the reader chooses.
_FREE = {"annotations", "flyteAnnotations", "taskAnnotations", "nodeSelector", "flyteValues"}
each_paper = pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: str(paper.relative_to(ROOT)))


@each_paper
def test_every_make_target_in_the_documentation_exists(paper: Path):
    named = {match[1] for text in code(paper) for match in re.finditer(r"\bmake ([a-z][\w-]*)", text)}

    assert named - _TARGETS - {f"test-{layer}" for layer in _LAYERS} - {"test-LAYER"} == set()


@each_paper
def test_every_relative_link_leads_to_an_existing_file_and_heading(paper: Path):
    for link in links(paper):
        if "://" in link:
            continue
        name, _, heading = link.partition("#")
        target = (paper.parent / name) if name else paper
        assert target.exists(), link
        if heading:
            headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
            assert heading in {re.sub(r"[^\w -]", "", text).lower().replace(" ", "-") for text in headings}, link


@each_paper
def test_every_path_in_the_documentation_exists(paper: Path):
    pattern = re.compile(rf"(?:{_FOLDERS})/[\w./-]*|\.(?:github|ci)/[\w./-]+")
    named = {text for text in code(paper) if pattern.fullmatch(text)}

    assert {path for path in named if not (ROOT / path).exists()} == set()


def set_by(paper: Path) -> list[tuple[str, str]]:
    """Path and value of every setting in a `pulumi config set`; the value is empty if the reader has to choose it."""
    found = []
    for text in code(paper):
        match = re.search(rf"pulumi config set ((?:--\S+ )*)(?:{PROJECT}:)([a-z][\w.<>-]*)(?: (\S+))?", text)
        if match:
            value = match[3] or ""
            found.append((match[2], "" if value.startswith(('"', "-", "$", "mirror.")) or value.isupper() else value))
    return found


@each_paper
def test_every_pulumi_config_command_sets_an_existing_setting_to_a_valid_value(paper: Path):
    paths = {entry.path for entry in settings_page.entries()}
    for path, value in set_by(paper):
        key = path.split(".")[0].split("-")[0]
        if key in SECRET_SETTINGS or key.endswith("Creds"):
            continue
        whole = re.sub(r"\.[A-Z]+$", "", path)  # the reader chooses the last part
        assert whole in paths or key in {"images", "flyteValues"}, path
        if value and whole == path:
            content: Any = yaml.safe_load(value)
            for part in reversed(path.split(".")[1:]):
                content = {part: content}
            try:
                settings_from(*stack(**{path.split(".")[0]: content}))
            except SettingsError as error:
                pytest.fail(f"{path} {value}: {error}")


@each_paper
def test_examples_of_stack_files_contain_only_existing_settings(paper: Path):
    paths = {re.sub(r"\[\]", "", entry.path) for entry in settings_page.entries()}

    def named(value: Any, path: str) -> set[str]:
        if isinstance(value, list):
            return {found for item in value for found in named(item, path)}
        if not isinstance(value, dict) or path.split(".")[-1] in _FREE:
            return {path}
        return {found for key, item in value.items() for found in named(item, f"{path}.{key}")}

    for block in re.findall(r"```yaml\n(.*?)```", paper.read_text(), re.DOTALL):
        content = yaml.safe_load(block)
        for key, value in content.items() if isinstance(content, dict) else ():
            setting = str(key).removeprefix(f"{PROJECT}:")
            if str(key).startswith(f"{PROJECT}:") and setting in FIELDS:
                assert {path for path in named(value, setting) if path not in paths} == set()


@pytest.mark.parametrize("paper", STRICT, ids=lambda paper: paper.name)
def test_every_command_is_run_by_a_test_or_marked_as_needing_a_cluster(paper: Path):
    found = list(commands(paper))

    assert found
    assert [command.line for command in found if not command.is_marked and not RUN.match(command.line)] == []


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 200


def test_contributing_names_existing_paths_for_every_change():
    rows = table(ROOT / "CONTRIBUTING.md", "## Where do I change what")

    assert len(rows) >= 14
    for change, where, *_ in rows:
        named = [re.sub(r"<[a-z]+>", "*", path) for path in inline_code(where)]
        assert named, change
        assert [path for path in named if not list(ROOT.glob(path))] == [], change


def test_the_license_is_apache_2_0():
    text = (ROOT / "LICENSE").read_text()

    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_the_changelog_has_a_section_for_the_current_version_and_for_every_stored_state():
    (version,) = re.findall(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    sections = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)

    assert sections[0] == "Unreleased"
    assert sections[1] == version
    assert {file.stem for file in (ROOT / "tests" / "engine" / "states").glob("*.json")} <= set(sections)
    assert json.dumps(sections) == json.dumps([sections[0], *sorted(sections[1:], reverse=True)])
