"""The programs that the test layers need: they are found, and never confused with others."""

from pathlib import Path

import pytest

from tests import tools
from tests.tools import GoPackage, MissingError, Tool

LAYER = frozenset({"unit"})


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on the PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def program(folder: Path, name: str, prints: str = "") -> Path:
    program = folder / name
    program.write_text(f"#!/bin/sh\necho '{prints}'\n")
    program.chmod(0o700)
    return program


def test_a_program_is_found_by_any_of_its_names(path: Path):
    other = program(path, "silo")

    assert Tool("minio", LAYER, ("minio", "silo")).find() == other


def test_another_program_of_the_same_name_is_not_used(path: Path):
    mc = Tool("mc", LAYER, ("mc",), recognised_by=("--version", "mc version"))
    program(path, "mc", "GNU Midnight Commander 4.8")
    assert mc.find() is None

    mine = program(path, "mc", "mc version RELEASE.2026-09-16")
    assert mc.find() == mine


def test_a_folder_in_a_variable_precedes_the_path(path: Path, monkeypatch: pytest.MonkeyPatch):
    program(path, "etcd")
    assets = path / "assets"
    assets.mkdir()
    there = program(assets, "etcd")
    monkeypatch.setenv("ASSETS", str(assets))

    assert Tool("etcd", LAYER, ("etcd",), folders=("ASSETS", "/nowhere")).find() == there


def test_a_variable_with_a_missing_folder_is_an_error(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SERVER", "/nowhere/minio")

    with pytest.raises(MissingError, match="SERVER=/nowhere/minio is not a program"):
        Tool("minio", LAYER, ("minio",), "SERVER").find()


def test_without_go_the_message_names_it(path: Path):
    with pytest.raises(MissingError, match=r"without Go \(https://go.dev/dl/\)"):
        Tool("helm", LAYER, recipe=GoPackage("kubernetes", "helm.sh/helm/v3/cmd/helm")).make()


def test_a_failed_build_leaves_nothing_behind_and_reports_the_reason(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tools, "CACHE", tmp_path / "cache")
    program(path, "go").write_text("#!/bin/sh\necho no network >&2; exit 1\n")
    recipe = GoPackage("kubernetes", "helm.sh/helm/v3/cmd/helm")

    with pytest.raises(MissingError, match="go failed: no network"):
        recipe.make("helm")

    assert not recipe.path("helm").exists()


def test_a_missing_program_skips_the_tests_that_need_it_with_a_hint_how_to_get_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(tools.TOOLS, "pulumi", Tool("pulumi", LAYER, ("pulumi",), remedy="install it from somewhere"))

    with pytest.raises(pytest.skip.Exception, match="needs pulumi: install it from somewhere"):
        tools.require("pulumi")


def test_every_tool_has_its_pins():
    for tool in tools.TOOLS.values():
        if isinstance(tool.recipe, GoPackage):
            module = tools.SOURCES / tool.recipe.folder
            assert f"\t{tool.recipe.package}\n" in (module / "go.mod").read_text().replace("tool ", "\t")
            assert "h1:" in (module / "go.sum").read_text()
