"""Reads stack files without Pulumi."""

import base64
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from ops.lib.stack_yaml import StackYamlError, StackYamlLoader, as_json, number_text
from paths import ROOT
from settings import FIELDS, PROJECT
from settings.errors import SettingsError
from settings.external_store import STORE_KEY
from settings.secrets import HIDDEN

_SHORTEST_ENCRYPTED = 28


def stack_config(stack: str, folder: Path = ROOT) -> tuple[dict[str, str], set[str]]:
    """Return a stack's configuration as Pulumi passes it to the program, and the keys that are secret.

    Encrypted values are not decrypted; each is replaced by a placeholder.

    Args:
        stack: name of the stack.
        folder: folder of Pulumi.yaml and the stack files.

    Raises:
        SettingsError: there is no such stack file, or it is invalid.
    """
    path = folder / f"Pulumi.{stack}.yaml"
    try:
        text = path.read_bytes()
        content = yaml.load(text, StackYamlLoader) or {}  # noqa: S506 (a safe loader)
        stored = content.get("config") or {}
        if not isinstance(stored, dict) or not all(key[:1].isalpha() for key in stored):
            raise TypeError
    except FileNotFoundError:
        raise SettingsError(_no_such_stack(stack, folder)) from None
    except OSError as error:
        raise SettingsError(f"{path.name}: cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SettingsError(f"{path.name}: cannot be read{_where(error, text)}") from None
    except (AttributeError, TypeError):
        raise SettingsError(
            f"{path.name}: is not a stack file; it needs the key config with settings below it, such as "
            f"config: {{{PROJECT}:namespace: flyte}}"
        ) from None
    if any(key != "config" and (":" in key or key in FIELDS or key.lower() == "config") for key in content):
        raise SettingsError(
            f"{path.name}: a setting has no effect at the top; move it below config and indent it, such as "
            f"config: {{{PROJECT}:namespace: flyte}}"
        )
    project = yaml.load((folder / "Pulumi.yaml").read_text(), StackYamlLoader)["config"]  # noqa: S506 (a safe loader)
    config, secrets = {}, set()
    for key, declared in project.items():
        config[_full(key)] = _text(declared.get("value", declared.get("default")))
    given: set[str] = set()
    problems: list[str] = []
    for key, value in stored.items():
        full = _full(key)
        if full in given:
            raise SettingsError(f"{path.name}: {full} is set twice, with and without {PROJECT}:; keep one")
        given.add(full)
        problems += _plain_text_problems(full, value)
        decrypted = _decrypted(value, _placeholder(full.removeprefix(f"{PROJECT}:")))
        try:
            config[full] = _text(decrypted)
        except (ValueError, TypeError, RecursionError):
            raise SettingsError(
                f"{path.name}: {full} is not text, a number, a list or a map; write it like text, 5, [a, b] or {{a: b}}"
            ) from None
        if decrypted != value:
            secrets.add(full)
    if problems:
        raise SettingsError(*(f"{path.name}: {problem}" for problem in problems))
    return config, secrets


def _placeholder(name: str) -> str:
    """Return what stands for the encrypted value of a secret setting."""
    if name.split("-")[0] == STORE_KEY:
        # Each with another access key, as the rules demand.
        return json.dumps({"accessKeyId": name, "secretAccessKey": "the-stack-file-has-it-encrypted"})
    return HIDDEN


def _no_such_stack(stack: str, folder: Path) -> str:
    names = [file.name.removeprefix("Pulumi.").removesuffix(".yaml") for file in folder.glob("Pulumi.*.yaml")]
    known = ", ".join(sorted(names)) or "none"
    return (
        f"STACK: there is no Pulumi.{stack}.yaml; the stacks here are: {known}. Write STACK={min(names, default='dev')}"
    )


def _where(error: Exception, text: bytes) -> str:
    """Return the line of an error, and what may help. PyYAML's description is left out: it may quote a secret."""
    mark = getattr(error, "problem_mark", None)
    lines = text.splitlines()
    line = lines[mark.line] if mark and mark.line < len(lines) else b""
    if isinstance(error, StackYamlError):
        described = f"{error.problem}; correct it there"
    elif isinstance(error, yaml.reader.ReaderError | UnicodeDecodeError):
        described = "it has a control character, or is not in UTF-8; write it again with an editor that saves UTF-8"
    elif isinstance(error, RecursionError):
        described = "it is nested too deeply; write it flatter"
    elif isinstance(error, yaml.composer.ComposerError):
        described = "an alias (*name) has no anchor (&name), or there is a second document (---); quote the text"
    elif b"\t" in line:
        described = "a tab; write spaces"
    else:
        described = "quote text that begins with a special character or contains ': ', such as 'a: b'"
    return f" (line {mark.line + 1}): {described}" if mark else f": {described}"


def _plain_text_problems(key: str, value: Any) -> Iterator[str]:
    """Yield values below ``secure`` that are not encrypted: Pulumi cannot read them, and everyone else can."""
    if isinstance(value, Mapping):
        if _is_secure(value) and not _is_encrypted(value["secure"]):
            path = "--path " if "." in key or "[" in key else ""
            yield (
                f"{key}: has plain text below secure, where Pulumi keeps encrypted values; change the value where it "
                f"is in use, then write pulumi config set --secret {path}{shlex.quote(key)}"
            )
        for name, item in value.items():
            yield from _plain_text_problems(f"{key}.{name}", item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _plain_text_problems(f"{key}[{index}]", item)


def _is_encrypted(text: str) -> bool:
    """Return whether ``text`` may be encrypted: by a passphrase, or in base64 by a service."""
    if re.fullmatch(r"v1:[A-Za-z0-9+/=:]+", text):
        return True
    try:
        # Every cipher adds at least a nonce and a checksum.
        return len(base64.b64decode(text, validate=True)) >= _SHORTEST_ENCRYPTED
    except ValueError:
        return False


def _is_secure(value: Mapping[Any, Any]) -> bool:
    return set(value) == {"secure"} and isinstance(value["secure"], str)


def _full(key: str) -> str:
    return key if ":" in key else f"{PROJECT}:{key}"


def _decrypted(value: Any, placeholder: str) -> Any:
    """Return ``value`` with a placeholder in place of each encrypted value, at any depth."""
    if isinstance(value, Mapping):
        if _is_secure(value):
            return placeholder
        return {key: _decrypted(item, placeholder) for key, item in value.items()}
    return [_decrypted(item, placeholder) for item in value] if isinstance(value, list) else value


def _text(value: Any) -> str:
    """Return a value of a stack file as Pulumi passes it to the program."""
    if value is None:
        return ""
    return json.dumps(as_json(value)) if isinstance(value, list | dict) else number_text(_scalar(value))


def _scalar(value: Any) -> Any:
    if not isinstance(value, str | int | float):
        raise TypeError
    return value
