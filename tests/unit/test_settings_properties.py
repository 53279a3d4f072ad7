"""Properties of the settings that hold for any stack file."""

import copy
import itertools
import json
import re
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.render import render
from settings import FIELDS, PROJECT, Settings, settings_from
from settings.errors import SettingsError
from settings.values import Model
from tests.conftest import run, stack
from tests.generated import accepted_part, settings_of_a_stack

LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?", fullmatch=True)
# Any YAML value, with a preference for values that are likely in a stack file.
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | labels,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text() | st.sampled_from(["name", "size", "cpu", "group"]), inner, max_size=4)
    ),
    max_leaves=12,
)
templates = st.sampled_from(
    ["{project}-{domain}", "{domain}-{project}", "103020-{project}-x-{domain}", "{project}{domain}", "x-{project}"]
)


def load(**values: Any) -> Settings:
    return settings_from(*stack(**values))


def problems(config: dict[str, str], secrets: set[str]) -> list[str]:
    """The problems of a configuration; empty if it is accepted. Any other error is a bug."""
    try:
        settings_from(config, secrets)
    except SettingsError as refused:
        return [*refused.problems] or ["refused without a reason"]
    return []


@given(st.lists(labels, min_size=1, max_size=4), st.lists(labels, min_size=1, max_size=4), templates)
def test_accepted_projects_and_domains_get_valid_and_unique_namespaces(
    projects: list[str], domains: list[str], template: str
):
    given = {"projects": [{"name": name} for name in projects], "domains": domains, "namespaceTemplate": template}
    if wrong := problems(*stack(**given)):
        assert not certainly_fine(projects, domains, template), wrong
        return
    found = load(**given)
    pairs = {(scope.project, scope.domain): scope.namespace for scope in found.task_scopes}
    names = [*pairs.values(), found.namespace]
    assert set(pairs) == {(project, domain) for project in projects for domain in domains}
    assert all(LABEL.fullmatch(name) for name in names)
    assert len(set(names)) == len(names)
    # Flyte's template gives the names of the namespaces that Pulumi creates.
    for (project, domain), name in pairs.items():
        flytes = found.flyte_namespace_template.replace("{{ project }}", project).replace("{{ domain }}", domain)
        assert flytes == name


def certainly_fine(projects: list[str], domains: list[str], template: str) -> bool:
    """Whether the settings must be accepted: no duplicates or conflicts, and a different namespace for each pair."""
    pairs = [(project, domain) for project in projects for domain in domains]
    names = [template.format(project=project, domain=domain) for project, domain in pairs]
    # Prefixes of the names of everything Flyte stores for a pair; without the last hyphen, they are the bucket names.
    flytes = sorted(f"{project}-{domain}-" for project, domain in pairs)
    if any(second.startswith(first) for first, second in itertools.pairwise(flytes)):
        return False
    if any(len(name) > 64 or re.search("^xn--|^sthree-|s3", name) for name in flytes):
        return False
    return len({*names, "flyte"}) == len(projects) * len(domains) + 1 and not any(
        name == "default" or name.startswith("kube-") for name in names
    )


@given(st.sampled_from(sorted(FIELDS)), json_values)
@settings(max_examples=300)
def test_any_value_of_a_setting_is_accepted_or_rejected_by_name(key: str, value: Any):
    wrong = problems(*stack(**{key: value}))

    assert all(problem.startswith(f"{PROJECT}:") for problem in wrong)


EXAMPLE = {
    **{
        key: field.default.model_dump(by_alias=True)
        for key, field in FIELDS.items()
        if isinstance(field.default, Model)
    },
    "projects": [
        {
            "name": "remedy",
            "description": "",
            "taskSecrets": ["tidal-creds"],
            "quota": {"pods": 3, "limits": {"cpu": "4"}},
            "podSecurity": {"enforce": "privileged", "reason": "a device"},
            "egress": {"internet": False, "networks": ["192.168.1.20/32"]},
            "serviceAccountToken": True,
        }
    ],
    "images": {"flyte": "mirror.home/flyte:1"},
    "flyteValues": {"deployment": {"labels": {"team": "home"}}, "configuration": {"inline": {"webhook": {}}}},
}


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every part of a structure, except for the structure itself."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, item in parts for place in ((*path, key), *places(item, (*path, key)))]


@st.composite
def changed_settings(draw: st.DrawFn) -> dict[str, Any]:
    """A setting of the example with one part of it replaced by an arbitrary value."""
    path = draw(st.sampled_from(places(EXAMPLE)))
    setting = {path[0]: copy.deepcopy(EXAMPLE[path[0]])}
    part: Any = setting
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = draw(json_values)
    return setting


@given(changed_settings())
@settings(max_examples=500)
def test_any_value_inside_a_structure_is_accepted_or_rejected_by_name(changed: dict):
    wrong = problems(*stack(**changed))

    assert all(problem.startswith(f"{PROJECT}:") for problem in wrong)


@given(changed_settings().filter(lambda changed: not problems(*stack(**changed))))
@settings(max_examples=25)
def test_the_program_runs_to_the_end_with_any_accepted_settings(changed: dict):
    assert run(**{"domains": ["development"], **changed}).outputs["namespace"]


@given(settings_of_a_stack())
@settings(max_examples=25)
def test_settings_that_are_accepted_render_to_a_file_for_each_object(generated: dict[str, Any]):
    kept = accepted_part(generated)
    if not kept:
        return
    recording = run(**kept)
    files = render(recording, show_secrets=False)

    assert len(files) == len([one for one in recording.resources if one.is_manifest or one.kind == "Release"])
    assert all(len(name.encode()) <= 255 for name in files)
    assert all(yaml.safe_load(text) for text in files.values())


@given(st.sampled_from(sorted(FIELDS)), st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
@settings(max_examples=300)
def test_text_that_is_not_json_is_accepted_or_rejected_by_name(key: str, text: str):
    config, secrets = stack()
    config[f"{PROJECT}:{key}"] = text

    assert all(problem.startswith(f"{PROJECT}:") for problem in problems(config, secrets))


@given(st.text(min_size=1).filter(lambda name: name not in FIELDS and not name.startswith("tidalCreds-")), json_values)
def test_an_unknown_key_is_always_rejected(key: str, value: Any):
    config, secrets = stack()
    config[f"{PROJECT}:{key}"] = json.dumps(value)

    assert any("there is no such setting" in problem for problem in problems(config, secrets))


@given(st.sampled_from(["tidalCreds", "tidalCreds__production", "postgresPassword"]), st.text(min_size=6))
def test_a_rejected_secret_is_never_shown(key: str, value: str):
    secret = f"pl4nted{value}"

    assert not [problem for problem in problems(*stack(**{key: secret})) if "pl4nted" in problem]


@given(st.dictionaries(labels, st.text(), min_size=1).map(json.dumps), st.sampled_from(["development", "production"]))
def test_task_secrets_reach_their_namespaces_unchanged(value: str, domain: str):
    found = load(**{"tidalCreds": '{"general": 1}', f"tidalCreds__{domain}": value}).task_secret_values["tidal-creds"]

    assert found.pop(f"remedy-{domain}") == {"json": value}
    assert {keys["json"] for keys in found.values()} == {'{"general": 1}'}
