"""The generated parts of the documentation: those that are committed are those that the program gives now."""

import re
from typing import Any

import pytest

from ops import docs
from paths import ROOT
from settings import FIELDS, Settings
from settings.images import IMAGES


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return docs.pages()


@pytest.mark.parametrize("path", ["README.md", "docs/settings.md", "docs/architecture.md"])
def test_what_is_committed_is_what_make_docs_writes(pages: dict[str, str], path: str):
    assert (ROOT / path).read_text() == pages[path], "run make docs"


def test_every_setting_and_every_part_of_one_is_on_the_page():
    """As Pydantic itself sees them."""
    schema = Settings.model_json_schema(by_alias=True)

    def paths(node: dict[str, Any], path: str) -> set[str]:
        found = {path}
        for branch in (node, *node.get("anyOf", [])):
            target = schema["$defs"][branch["$ref"].rsplit("/", 1)[1]] if "$ref" in branch else branch
            for key, value in target.get("properties", {}).items():
                found |= paths(value, f"{path}.{key}")
            if "items" in target and "$ref" in target["items"]:
                found |= paths(target["items"], f"{path}[]") - {f"{path}[]"}
        return found

    expected = {path for key in FIELDS for path in paths(schema["properties"][key], key)}
    shown = {entry.path for entry in docs.entries() if ":" not in entry.path}
    assert len(expected) > 150
    assert shown == expected


def test_types_and_defaults_are_those_of_the_setting():
    found = {entry.path: entry for entry in docs.entries()}

    assert (found["minio.volume.size"].kind, found["minio.volume.size"].default) == ("bytes, such as 10Gi", "`20Gi`")
    assert (found["flyte.logLevel"].kind, found["flyte.logLevel"].default) == ("1 to 5", "`3`")
    assert (found["flyte.rights"].kind, found["flyte.rights"].default) == ("`minimal` or `chart`", "`minimal`")
    assert (found["projects[].name"].kind, found["projects[].name"].default) == ("name", None)
    assert found["tidalCreds"].kind == "secret text"
    assert found["postgresPassword"].default == "generated"


def test_no_secret_has_its_default_shown():
    assert "sample" not in docs.settings_page()


def test_every_setting_says_what_it_is():
    assert [key for key, field in FIELDS.items() if not field.description] == []


def test_markers_that_are_missing_are_named():
    with pytest.raises(ValueError, match="<!-- settings:begin -->"):
        docs.replaced("# A page without them", "settings", "")


def test_the_picture_has_every_component_and_leads_to_its_file(pages: dict[str, str]):
    page = pages["docs/architecture.md"]
    outermost = [found for found in docs.recording().resources if not found.custom and "$" not in found.urn]

    assert len(outermost) > 10
    assert {name for found in outermost if f"    {(name := found.name)}[{name}]" not in page} == set()
    assert "    flyte --> postgres" in page
    assert "    flyte --> minio" not in page  # follows from the secrets that wait for it
    for file in re.findall(r"\]\(\.\./([\w/.]+)\)", page):
        assert (ROOT / file).is_file()


def test_the_versions_are_those_of_the_pins():
    table = docs.versions_table()

    for name, image in IMAGES.items():
        assert f"| image `{name}`: `{image.repository}` | {image.tag}" in table
        assert (f"{image.tag}, by digest" in table) or not image.digest
    for package in ("pulumi", "pulumi-kubernetes", "pulumi-random"):
        (version,) = re.findall(rf"^{package}==(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
        assert f"| `{package}` | {version} |" in table
