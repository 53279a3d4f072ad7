"""The generated parts of the documentation are complete and up to date."""

import re
from typing import Any

import pytest

from ops import docs
from ops.lib.pages import architecture_page, settings_page, versions_page
from ops.lib.pages.descriptions import descriptions
from paths import ROOT
from settings import FIELDS, Settings
from settings.images import IMAGES


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return docs.pages()


@pytest.mark.parametrize("path", ["docs/settings.md", "docs/architecture.md", "docs/versions.md"])
def test_the_committed_page_is_up_to_date(pages: dict[str, str], path: str):
    assert (ROOT / path).read_text() == pages[path], "run make docs"


def test_no_other_page_is_generated(pages: dict[str, str]):
    assert set(pages) == {"docs/settings.md", "docs/architecture.md", "docs/versions.md"}


def test_every_setting_and_every_part_of_one_is_documented():
    """Compared with the JSON schema that Pydantic generates."""
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
    shown = {entry.path for entry in settings_page.entries() if ":" not in entry.path}
    assert len(expected) > 150
    assert shown == expected
    page = settings_page.settings_page()
    assert {path for path in expected if f"| `{path}` |" not in page} == set()


def test_the_table_of_settings_links_every_setting_to_its_section():
    table, page = settings_page.settings_table(), settings_page.settings_page()

    assert table in page
    for key in [*FIELDS, "kubernetes:context", "kubernetes:kubeconfig"]:
        assert f"| [`{key}`](#{key.lower().replace(':', '')}) |" in table
        assert f"\n## {key}\n" in page


def test_types_and_defaults_match_the_settings():
    found = {entry.path: entry for entry in settings_page.entries()}

    assert (found["minio.volume.size"].kind, found["minio.volume.size"].default) == ("bytes, such as 10Gi", "`20Gi`")
    assert (found["flyte.logLevel"].kind, found["flyte.logLevel"].default) == ("1 to 5", "`3`")
    assert (found["flyte.rights"].kind, found["flyte.rights"].default) == ("`minimal` or `chart`", "`minimal`")
    assert (found["projects[].name"].kind, found["projects[].name"].default) == ("name", None)
    assert found["tidalCreds"].kind == "secret string"
    assert found["postgresPassword"].default == "generated"


def test_the_settings_page_shows_no_default_of_a_secret():
    assert "sample" not in settings_page.settings_page()


def test_every_setting_has_a_description():
    assert [key for key in FIELDS if key not in descriptions(Settings)] == []


def test_a_missing_marker_is_named_with_its_page():
    with pytest.raises(ValueError, match=r"docs/versions\.md: .*<!-- versions:begin -->"):
        docs.replaced("docs/versions.md", "# A page without markers", "versions", "")


def test_the_diagram_shows_every_component_and_the_table_links_its_file(pages: dict[str, str]):
    page = pages["docs/architecture.md"]
    outermost = [
        found for found in architecture_page.recording().resources if not found.custom and "$" not in found.urn
    ]

    assert len(outermost) > 10
    assert {name for found in outermost if f"    {(name := found.name)}[{name}]" not in page} == set()
    assert "    flyte --> postgres" in page
    assert "    flyte --> minio" not in page  # follows from the secrets, which depend on it
    for file in re.findall(r"\]\(\.\./([\w/.]+)\)", page):
        assert (ROOT / file).is_file()


def test_the_table_of_versions_matches_the_pins():
    table = versions_page.versions_table()

    for name, image in IMAGES.items():
        assert f"| image `{name}`: `{image.repository}` | {image.tag}" in table
        assert (f"{image.tag}, by digest" in table) or not image.digest
    for package in ("pulumi", "pulumi-kubernetes", "pulumi-random"):
        (version,) = re.findall(rf"^{package}==(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
        assert f"| `{package}` | {version} |" in table
