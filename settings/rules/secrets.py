"""Rules for secret settings and for the secret manager."""

import difflib
import json
import re
from collections.abc import Iterator
from typing import Any

from pydantic.alias_generators import to_camel

from settings.secrets import TaskSecretKey
from settings.stack import PROJECT, Settings


def secret_problems(settings: Settings) -> Iterator[str]:
    """Secrets that are missing, that have no effect, or that their reader cannot use."""
    yield from _password_problems(settings)
    if settings.secret_manager.type == "K8s":
        yield from _group_problems(settings)
    else:
        yield from _other_manager_problems(settings)
    for part in settings.secret_manager.unused:
        setting, type_ = f"{PROJECT}:secretManager.{to_camel(part)}", settings.secret_manager.type
        yield f"{setting}: has no effect with type {type_!r}; leave it out"


def sample_warnings(settings: Settings) -> Iterator[str]:
    """Secret settings that still hold the sample."""
    for name in settings.samples:
        yield f"{PROJECT}:{name} holds the sample, which gives no access to anything; set your own with --secret"


def _password_problems(settings: Settings) -> Iterator[str]:
    password = settings.postgres_password.get_secret_value()
    if password and not re.fullmatch(r"[!#-&(-\[\]-~]+", password):
        yield (
            f"{PROJECT}:postgresPassword: has a space, a quote, a backslash or a character that is not ASCII, which "
            "Flyte's connection string cannot carry; use letters, digits and the other signs"
        )
    if password and settings.generations.postgres > 1:
        yield (
            f"{PROJECT}:generations.postgres: is for a generated password, but {PROJECT}:postgresPassword gives one; "
            "leave one of them out"
        )
    if password and len(password) < 8:
        yield f"{PROJECT}:postgresPassword: is shorter than 8 characters; make it longer, or leave it empty"


def _group_problems(settings: Settings) -> Iterator[str]:
    groups = {group.group: group for group in settings.task_secrets}
    wanted: dict[str, list[str]] = {}
    for project in settings.projects:
        for name in project.task_secrets:
            if name in groups:
                wanted.setdefault(name, []).append(project.name)
            else:
                near = difflib.get_close_matches(name, groups, 1) or sorted(groups)
                yield (
                    f"{PROJECT}:projects[{project.name}].taskSecrets: there is no group {name!r} in "
                    f"{PROJECT}:taskSecrets; write {' or '.join(near) or 'one there first'}"
                )
    for name, projects in wanted.items():
        for key in groups[name].keys:
            yield from _value_problems(settings, key, f"project {', '.join(projects)} asks for the group {name!r}")


def _other_manager_problems(settings: Settings) -> Iterator[str]:
    """Secrets that Pulumi would keep although nothing reads them, and what Vault's agent needs."""
    manager = f"{PROJECT}:secretManager.type is {settings.secret_manager.type!r}"
    for name in sorted(settings.secret_values.keys() - {"postgresPassword", "oidcClientSecret"}):
        yield (
            f"{PROJECT}:{name}: has no effect, because {manager}; put the secret there, and write "
            f"pulumi config rm {PROJECT}:{name}"
        )
    if settings.secret_manager.type == "Vault" and not any(
        project.service_account_token for project in settings.projects
    ):
        yield (
            f"{PROJECT}:projects: {manager}, whose agent logs in with the token of the pod, and no project has one; "
            "write serviceAccountToken: true where tasks ask for secrets"
        )


def _value_problems(settings: Settings, key: TaskSecretKey, why: str) -> Iterator[str]:
    source = " < creds.json" if key.format == "json" else ""
    remedy = f"write pulumi config set --secret {PROJECT}:{key.setting}{source}"
    missing = [domain for domain in settings.domains if not settings.secret_for(key.setting, domain)]
    if missing:
        where = "" if missing == settings.domains else f" for the domain {', '.join(missing)}"
        yield f"{PROJECT}:{key.setting}: is missing or empty{where}, but {why}; {remedy}"
    if key.format != "json":
        return
    for name in (key.setting, *(f"{key.setting}-{domain}" for domain in settings.domains)):
        value = settings.secret_values.get(name)
        if not value:
            continue
        try:
            content = strict_json(value.get_secret_value())
        except (ValueError, RecursionError):  # the error's own text may quote the value
            content = None
        if not isinstance(content, dict) or not content:
            problem = "is not JSON" if content is None else "is JSON, but not an object with something in it"
            yield f"{PROJECT}:{name}: {problem}; {remedy.replace(f':{key.setting} ', f':{name} ')}"


def strict_json(text: str) -> Any:
    """The data in ``text``: JSON without ``NaN``, ``Infinity`` and numbers that are too long for any reader.

    Raises:
        ValueError: it is not.
    """

    def reject(constant: str) -> None:
        raise ValueError(constant)

    return json.loads(text, parse_constant=reject)
