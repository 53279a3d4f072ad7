"""Messages about settings: the full key as a user types it, nothing that may be a secret, and what to write."""

import copy
import re
from typing import Any

import pytest

from settings import FIELDS, settings_from
from settings.errors import SettingsError
from settings.messages.shown import shown
from tests.conftest import stack
from tests.unit.test_settings import complaint
from tests.unit.test_settings_properties import EXAMPLE, places

# Texts that end up in the wrong place: a token, a password, an address with a password, a private key, a kubeconfig.
SECRETS = (
    "ghp_Pl4nted0123456789abcdefABCDEF012345",
    "Pl4nted pass&word!",
    "https://user:Pl4nted@host/path",
    "-----BEGIN PRIVATE KEY-----\nPl4nted\n-----END PRIVATE KEY-----",
    "YXBpVmVyc2lvbjogdjEKa2luZDogQ29uZmlnUGw0bnRlZFBsNG50ZWRQbDRudGVk",
)
COMPLETE: dict[str, Any] = {
    **EXAMPLE,
    "domains": ["development"],
    "taskSecrets": [{"group": "g", "keys": [{"key": "k", "setting": "aCreds", "format": "json"}]}],
    "ingress": {"controller": "nginx", "hosts": {"console": "a.b"}, "annotations": {"a": "b"}, "tls": {"secret": "x"}},
    "logLinks": {"custom": [{"name": "a", "uri": "https://x/{{ .podName }}"}], "grafana": {"url": "https://x"}},
    "placement": {"tolerations": [{"key": "a", "value": "b"}], "nodeSelector": {"a": "b"}},
    "namespace": "flyte",
    "namespaceTemplate": "{project}-{domain}",
    "preset": "small",
    "clusterUid": "x",
    "protect": False,
}


def said(config: dict[str, str], secrets: set[str]) -> str:
    try:
        settings_from(config, secrets)
    except SettingsError as refused:
        return str(refused)
    return ""


def changed(path: tuple[Any, ...], value: Any, as_key: bool) -> dict[str, Any]:
    """The settings with ``value`` at one place; ``as_key``: as the name of what is there."""
    settings = copy.deepcopy(COMPLETE)
    part: Any = settings
    for key in path[:-1]:
        part = part[key]
    if as_key and isinstance(part, dict):
        part[value] = part.pop(path[-1])
    else:
        part[path[-1]] = value
    return {path[0]: settings[path[0]]} if path[0] in settings else settings


@pytest.mark.parametrize("secret", SECRETS, ids=lambda secret: secret[:10])
def test_a_secret_in_the_wrong_place_is_never_shown_in_full(secret: str):
    shows = []
    for path in [(key,) for key in COMPLETE] + [place for place in places(COMPLETE) if len(place) > 1]:
        for as_key in (False, True):
            if as_key and len(path) == 1:
                continue
            message = said(*stack(**changed(path, secret, as_key)))
            if secret in message or "Pl4nted" in message:
                shows.append((path, as_key, message))

    assert shows == []


@pytest.mark.parametrize("where", [("projects", 0, "taskSecrets", 0), ("taskSecrets", 0, "group")])
def test_even_a_harmless_text_is_not_shown_where_the_name_of_a_secret_belongs(where: tuple[Any, ...]):
    message = said(*stack(**changed(where, "Hunter2", False)))

    assert message
    assert "Hunter2" not in message


def test_no_message_sends_the_reader_to_pulumi_yaml_and_every_message_begins_with_a_key():
    wrong: list[Any] = [None, 5, -1, 1.5, True, "", "x", "Wrong Value!", [], {}, [5], {"wrong": 5}, [{}], "10GB"]
    messages = set()
    for path in [(key,) for key in COMPLETE] + [place for place in places(COMPLETE) if len(place) > 1]:
        for value in wrong:
            messages |= {*said(*stack(**changed(path, value, False))).splitlines()}

    assert len(messages) > 100
    keys = "|".join(FIELDS)
    assert [one for one in messages if not re.match(rf"flyte-home:({keys})[\w.\[\]\"/-]*: ", one)] == []
    assert [one for one in messages if "Pulumi.yaml" in one or "input should" in one] == []
    # What is allowed, with an example or a command.
    remedy = re.compile(r"; .*(write|raise|rename|leave it out|did you mean|use|put it in quotes|lower)|such as|like ")
    assert [one for one in messages if not remedy.search(one)] == []


@pytest.mark.parametrize(
    ("settings", "command"),
    [
        (
            {"flyte": {"logLevel": 9}},
            "write a whole number from 1 to 5, such as 3: pulumi config set --path flyte-home:flyte",
        ),
        ({"projects": [{"name": "Upper"}]}, "pulumi config set --path 'flyte-home:projects[0].name' remedy"),
        (
            {"postgres": {"volume": {"size": 20}}},
            "such as 20Gi: pulumi config set --path flyte-home:postgres.volume.s",
        ),
        ({"preset": "huge"}, "pulumi config set flyte-home:preset tiny"),
        (
            {"secretManager": {"vault": {"kvVersion": "3"}}},
            "--path --type string flyte-home:secretManager.vault.kvVersion 1",
        ),
        (
            {"projects": "remedy"},
            "such as [{name: remedy}]: pulumi config set --path 'flyte-home:projects[0].name' remedy",
        ),
        ({"protect": "yes"}, "pulumi config set flyte-home:protect true"),
        ({"protect": "no"}, "pulumi config set flyte-home:protect false"),
        (
            {"postgres": {"volume": "10Gi"}},
            "such as {size: 20Gi}: pulumi config set --path flyte-home:postgres.volume.size",
        ),
        (
            {"tasks": {"quota": False}},
            "such as {enabled: false}: pulumi config set --path flyte-home:tasks.quota.enabled",
        ),
        ({"minio": {"bucketQuota": 5}}, "has no unit; write it with one, such as 50Gi: pulumi config set --path"),
        ({"minio": {"bucketQuota": None}}, "is empty; write it, such as 50Gi: pulumi config set --path"),
        ({"domains": [None]}, "or leave it out: pulumi config rm --path 'flyte-home:domains[0]'"),
        ({"secretManager": {"type": "vault"}}, "pulumi config set --path flyte-home:secretManager.type Vault"),
        ({"placement": {"nodeSelector": ["gpu"]}}, "'flyte-home:placement.nodeSelector[\"kubernetes.io/arch\"]' arm64"),
        ({"auth": {"issuer": "id.home"}}, "flyte-home:auth.issuer https://id.home.example/realms/home"),
        (
            {"secretManager": {"type": "Vault", "vault": {"annotations": {"a": 5}}}},
            "such as '5': pulumi config set --path --type string flyte-home:secretManager.vault.annotations.a 5",
        ),
        (
            {"postgres": {"resources": {"limits": {"memory": "64Mi"}}}},
            "pulumi config set --path flyte-home:postgres.resources.limits.memory 128Mi",
        ),
        (
            {"tasks": {"quota": {"requests": {"cpu": "50m"}}}},
            "pulumi config set --path flyte-home:tasks.quota.requests.cpu 100m",
        ),
    ],
)
def test_a_message_contains_the_command_that_sets_an_allowed_value(settings: dict[str, Any], command: str):
    assert command in complaint(**settings)


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("TIDAL_CREDS", "did you mean flyte-home:tidalCreds? To remove it: pulumi config rm flyte-home:TIDAL_CREDS"),
        ("namepace", "did you mean flyte-home:namespace?"),
        ("globalSecrets", "did you mean flyte-home:secretManager.globalSecrets?"),
        (
            "postgres.volume.size",
            "needs --path, such as pulumi config set --path flyte-home:postgres.volume.size VALUE",
        ),
        ("projects[0].name", "To remove it: pulumi config rm 'flyte-home:projects[0].name'"),
        ("Pl4nted-9f8e7d6c5b4a3", "flyte-home: a key that is not shown: there is no such setting"),
    ],
)
def test_an_unknown_key_is_answered_with_the_setting_that_was_meant(key: str, meant: str):
    message = complaint(**{key: "x"})

    assert meant in message
    assert "Pl4nted" not in message


def test_a_setting_that_cannot_be_read_is_the_only_one_that_is_reported():
    assert len(complaint(projects="[{name: remedy}").splitlines()) == 1


@pytest.mark.parametrize(
    "value", ["remedy-staging", "10GB", "-1Gi", "v1.16.8", "kubernetes.io/arch", "{project}", "", 5]
)
def test_names_and_quantities_are_shown(value: Any):
    assert shown(value) == repr(value)


@pytest.mark.parametrize("value", ["p@ssword", "x" * 41, "a1b2c3d4e5f6a7b8", *SECRETS])
def test_text_that_may_be_a_secret_is_described(value: str):
    assert shown(value) == f"(not shown: text of {len(value)} characters)"
