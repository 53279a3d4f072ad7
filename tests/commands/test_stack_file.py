"""Stack files are read as Pulumi reads them. `tests/engine/test_stack_yaml.py` compares these cases with Pulumi."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops.lib.stack_file import stack_config
from ops.lib.stack_yaml import StackYamlLoader
from paths import ROOT
from settings import go_yaml, settings_from
from settings.errors import SettingsError
from tests.external_store import external

# A value in a stack file, and the text that the program gets.
SCALARS = {
    "yes": "yes", "no": "no", "On": "On", "off": "off", "y": "y", "true": "true", "TRUE": "true", "TrUe": "TrUe",
    "~": "", "null": "", "": "", "1e3": "1000", "1.5e3": "1500", "1e21": "1e+21", "1e-7": "1e-7",
    "1e20": "1" + 20 * "0",
    "010": "8", "0o10": "8", "0O17": "15", "-010": "-8", "09": "9", "0o9": "0o9", "0x1F": "31", "-0x10": "-16",
    "0xg": "0xg", "0x": "0x", "0b11": "3", "0B1": "1", "1_000": "1000", "_1": "_1", "12_3.4_5": "123.45",
    "1:30": "1:30",
    "190:20:30": "190:20:30", "12.50": "12.5", "1.0": "1", ".5": "0.5", "5.": "5", "+12": "12", "+.5": "0.5",
    "-0.0": "0", "1e400": "1e400", "1e": "1e", "12345678901234567890": "12345678901234567890",
    "123456789012345678901234567890": "1.2345678901234568e+29", "2026-01-01": "2026-01-01 00:00:00 +0000 UTC",
    "2026-1-2": "2026-01-02 00:00:00 +0000 UTC", "2026-13-45": "2026-13-45", "=": "=", "<<": "<<", '"1e3"': "1e3",
    "2026-01-01T10:00:00.250+02:00": "2026-01-01 10:00:00.25 +0200 +0200", "'yes'": "yes", "! 12": "12", "!a b": "b",
    "!!str 5": "5", "!!float 5": "5", "0.00001234": "0.00001234",
    "0xFFFFFFFFFFFFFFFFFF": "0xFFFFFFFFFFFFFFFFFF", "0777777777777777777777777": "7.777777777777778e+23", "._1": "._1",
    "-0x8000000000000000": "-9223372036854775808", "18446744073709551616": "18446744073709552000",
    "!!binary aGVsbG8=": "hello",
    "2026-01-01 10:00:00": "2026-01-01 10:00:00 +0000 UTC",
}  # fmt: skip
# A structure in a stack file, and the data that the program gets.
STRUCTURES: dict[str, Any] = {
    "[yes, 1e3, 010, 1:30, 12.0, 9007199254740993]": ["yes", 1000, 8, "1:30", 12, 9007199254740993],
    "[12345678901234567890, 99999999999999999999, 1e21]": [12345678901234567000, 100000000000000000000, 1e21],
    "{yes: 1, 1: 2, true: 3, 1.0e3: 4, ~: 5}": {"yes": 1, "1": 2, "true": 3, "1000": 4, "<nil>": 5},
    "{a: &a {q: 1, r: 2}, b: {<<: *a, q: 3}}": {"a": {"q": 1, "r": 2}, "b": {"q": 3, "r": 2}},
    "{a: &a {q: 1}, b: {q: 2, <<: [*a, {q: 4, z: 3}]}}": {"a": {"q": 1}, "b": {"q": 2, "z": 3}},
    "{y: 1, n: 2, on: 3, 010: 4}": {"y": 1, "n": 2, "on": 3, "8": 4},
    "[2026-01-01, ~, '']": ["2026-01-01 00:00:00 +0000 UTC", None, ""],
    "{secure: text, b: 1}": {"secure": "text", "b": 1},
    "{secure: 5}": {"secure": 5},
    "!!set {a, b}": {"a": None, "b": None},
    "!!omap [a: 1]": [{"a": 1}],
    "!custom {a: !custom [1]}": {"a": [1]},
    "!!str {a: 1}": {"a": 1},
    "[0xFFFFFFFFFFFFFFFFFF, !!binary aGVsbG8=]": ["0xFFFFFFFFFFFFFFFFFF", "hello"],
}
# Stack files that Pulumi rejects.
REJECTED = (
    "config: {a: .inf}",
    "config: {a: [.nan]}",
    "config: {a: !!bool yes}",
    "config: {a: {x: 1, x: 2}}",
    "config: {a: {1: 1, '1': 2}}",
    "config: {a: {<<: 5}}",
    "config: {a: {'<<': 5}}",
    "config: {a: {? [1] : 2}}",
    "config: {1e3: 4}",
    "config: []x",
    "config: {a: !!null x}",
    "config: {a: !!binary x}",
    'config: {a: "\\ud83d\\ude00"}',
    "config: {a: *b}",
    "config:\n\ta: b",
    "config: [a]",
    "config: {a: &x [*x]}",
)


def document(values: Any) -> str:
    return "config:\n" + "".join(f"  flyte-home:v{index}: {value}\n" for index, value in enumerate(values))


def project(folder: Path, stack_file: str) -> Path:
    (folder / "Pulumi.yaml").write_text((ROOT / "Pulumi.yaml").read_text())
    (folder / "Pulumi.test.yaml").write_text(stack_file)
    return folder


def read(folder: Path, stack_file: str) -> dict[str, str]:
    return stack_config("test", project(folder, stack_file))[0]


def test_a_scalar_is_the_text_that_pulumi_passes_to_the_program(tmp_path: Path):
    config = read(tmp_path, document(SCALARS))

    found = {text: config[f"flyte-home:v{index}"] for index, text in enumerate(SCALARS)}
    assert found == SCALARS


def test_a_structure_is_the_data_that_pulumi_passes_to_the_program(tmp_path: Path):
    config = read(tmp_path, document(STRUCTURES))

    found = {text: json.loads(config[f"flyte-home:v{index}"]) for index, text in enumerate(STRUCTURES)}
    assert found == STRUCTURES


@pytest.mark.parametrize("text", REJECTED)
def test_what_pulumi_rejects_is_rejected(tmp_path: Path, text: str):
    with pytest.raises(SettingsError, match=r"Pulumi\.test\.yaml"):
        read(tmp_path, text)


def test_keys_can_be_merged_at_the_top(tmp_path: Path):
    config = read(tmp_path, "config: {<<: {namespace: a}, flyte-home:domains: [b]}")

    assert (config["flyte-home:namespace"], config["flyte-home:domains"]) == ("a", '["b"]')


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("{secure: planted password}", "flyte-home:tidalCreds"),
        ("{a: [{b: {secure: planted}}]}", "--path 'flyte-home:tidalCreds.a[0].b'"),
        ("{secure: 'v1:planted password'}", "flyte-home:tidalCreds"),
    ],
)
def test_plain_text_below_secure_is_rejected_without_being_shown(tmp_path: Path, value: str, key: str):
    with pytest.raises(SettingsError) as refused:
        read(tmp_path, f"config: {{flyte-home:tidalCreds: {value}}}")

    assert f"pulumi config set --secret {key}" in str(refused.value)
    assert "planted" not in str(refused.value)


def test_encrypted_values_of_every_kind_are_accepted(tmp_path: Path):
    for encrypted in ("v1:ez+G8nELEzu1BFxr:+qXfgU0MmAWmBdEwtkEjD1X1HdDH", "AAABAEtTO4b3VYGYkZkHn4h3f6m8oYbHzn7ZMA0="):
        _, secrets = stack_config("test", project(tmp_path, f"config: {{tidalCreds: {{secure: '{encrypted}'}}}}"))

        assert secrets == {"flyte-home:tidalCreds"}


@pytest.mark.parametrize(
    "text",
    ["config: {a: *planted-secret}", "config: {a: !!planted b}", "config:\n  a: 'planted", "config: {a: %planted}"],
)
def test_a_message_about_yaml_quotes_nothing_from_the_file(tmp_path: Path, text: str):
    with pytest.raises(SettingsError, match=r"\(line \d+\)") as refused:
        read(tmp_path, text)

    assert "planted" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"config:\n\ta: b", r"cannot be read \(line 2\): a tab; write spaces"),
        (b"config: {a: *b}", r"an alias \(\*name\) has no anchor"),
        (b"config: {a: b}\n---\nconfig: {a: c}\n", "or there is a second document"),
        ("config: {a: ä}".encode("latin-1"), "is not in UTF-8; write it again with an editor that saves UTF-8"),
        (b"config: {a: @b}", r"\(line 1\): quote text that begins with a special character"),
        (b"config: {a: " + b"[" * 5000, "nested too deeply"),
    ],
)
def test_a_message_about_yaml_says_what_to_write(tmp_path: Path, content: bytes, said: str):
    project(tmp_path, "")
    (tmp_path / "Pulumi.test.yaml").write_bytes(content)

    with pytest.raises(SettingsError, match=said):
        stack_config("test", tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_stack_file_may_have_the_encodings_and_line_ends_of_other_systems(tmp_path: Path, encoding: str):
    project(tmp_path, "")
    (tmp_path / "Pulumi.test.yaml").write_bytes("config:\r\n  flyte-home:namespace: ä\r\n".encode(encoding))

    assert stack_config("test", tmp_path)[0]["flyte-home:namespace"] == "ä"


def test_a_folder_in_place_of_a_stack_file_is_named(tmp_path: Path):
    project(tmp_path, "")
    (tmp_path / "Pulumi.x.yaml").mkdir()

    with pytest.raises(SettingsError, match=r"Pulumi\.x\.yaml: cannot be read: Is a directory"):
        stack_config("x", tmp_path)


def test_the_name_of_a_stack_may_have_spaces_and_dots(tmp_path: Path):
    project(tmp_path, "")
    (tmp_path / "Pulumi.my stack.v2.yaml").write_text("config: {namespace: mine}")

    assert stack_config("my stack.v2", tmp_path)[0]["flyte-home:namespace"] == "mine"
    with pytest.raises(SettingsError, match=r"the stacks here are: my stack\.v2, test"):
        stack_config("other", tmp_path)


@pytest.mark.parametrize(
    "text", ["y", "n", "N", "1e3", "09", "1_000", "yes", "010", "+.5", "2026-1-2", "12:30", "a: b", "~"]
)
def test_what_is_written_for_kubernetes_and_flyte_is_read_there_as_the_same_text(text: str):
    written = go_yaml.dump({"a": text, text: "b"})

    assert yaml.load(written, StackYamlLoader) == {"a": text, text: "b"}  # noqa: S506 (a safe loader)
    assert yaml.dump(text, Dumper=go_yaml.FastDumper).strip().strip("'") == text
    if text in {"y", "n", "N"}:  # true and false for the reader of kubectl
        assert f"'{text}'" in written


def test_encrypted_keys_of_an_external_store_are_accepted_without_being_decrypted(tmp_path: Path):
    encrypted = "{secure: 'v1:ez+G8nELEzu1BFxr:+qXfgU0MmAWmBdEwtkEjD1X1HdDH'}"
    described = external("development")
    names = ("objectStoreKey", "objectStoreKey-remedy-development", "objectStoreKey-backup")
    lines = [f"  {name}: {encrypted}" for name in names]
    lines += [f"  minio: {json.dumps(described['minio'])}", "  domains: [development]", "  kubernetes:context: home"]
    lines += ["  projects: [{name: remedy}]"]

    settings = settings_from(*stack_config("test", project(tmp_path, "\n".join(["config:", *lines]))))

    assert settings.minio.mode == "external"
    assert set(settings.secret_values) == set(names)


HOST_KEY = "nas.home ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI"
LOGINS = [{"host": "registry.home:5000", "user": "puller"}, {"host": "b.home:5000", "user": "x", "setting": "other"}]


@pytest.mark.parametrize(
    ("settings", "secrets"),
    [
        ({"backup": {"target": "s3:https://nas.home/sets", "accessKeyId": "flyte"}}, ["backupCredentials"]),
        ({"backup": {"target": "sftp://b@nas.home//sets", "knownHosts": [HOST_KEY]}}, ["backupCredentials"]),
        ({"registries": {"logins": LOGINS}}, ["registryPassword", "other"]),
        ({"notifications": {"host": "mail.home", "sender": "a@b.home", "user": "flyte"}}, ["smtpPassword"]),
        (
            {"postgres": {"mode": "external", "external": {"host": "10.0.0.9", "tls": {"mode": "require"}}}},
            ["postgresPassword"],
        ),
        ({}, ["postgresPassword", "tidalCreds", "tidalCreds-development"]),
    ],
    ids=["S3", "SFTP", "registries", "mails", "external database", "passwords and tasks"],
)
def test_encrypted_secret_settings_are_accepted_without_being_decrypted(
    tmp_path: Path, settings: dict[str, Any], secrets: list[str]
):
    """The commands read a stack file as `pulumi config set --secret` leaves it, whatever form the value must have."""
    encrypted = {"secure": "v1:ez+G8nELEzu1BFxr:+qXfgU0MmAWmBdEwtkEjD1X1HdDH"}
    own = {
        "domains": ["development"],
        "projects": [{"name": "remedy"}],
        **settings,
        **dict.fromkeys(secrets, encrypted),
    }
    config = {"kubernetes:context": "home", **{f"flyte-home:{name}": value for name, value in own.items()}}

    found = settings_from(*stack_config("test", project(tmp_path, json.dumps({"config": config}))))

    assert set(secrets) <= set(found.secret_values)
