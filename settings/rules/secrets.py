"""Rules for secret settings and for the secret manager."""

import json
import re
from collections.abc import Iterator
from typing import Any

from pydantic.alias_generators import to_camel

from settings.messages.commands import remove_command, set_command
from settings.messages.shown import is_harmless, shown
from settings.messages.suggestions import closest
from settings.secrets import HIDDEN, TaskSecretKey
from settings.stack import PROJECT, SECRET_FIELDS, Settings

LARGEST_SECRET = 1024 * 1024
"""Bytes of all values of a Kubernetes Secret."""
LONGEST_PASSWORD = 1000
"""Characters of a password that every client of Postgres can send."""


def secret_problems(settings: Settings) -> Iterator[str]:
    """Secrets that are missing, that have no effect, or that their reader cannot use."""
    yield from _password_problems(settings)
    if settings.secret_manager.type == "K8s":
        yield from _group_problems(settings)
    else:
        yield from _other_manager_problems(settings)
    for part in settings.secret_manager.unused:
        setting, type_ = f"{PROJECT}:secretManager.{to_camel(part)}", settings.secret_manager.type
        yield f"{setting}: has no effect with type {type_!r}; leave it out: {remove_command(setting)}"


def sample_warnings(settings: Settings) -> Iterator[str]:
    """Secret settings that still hold the sample."""
    for name in settings.samples:
        yield f"{PROJECT}:{name} holds the sample, which gives no access to anything; set your own with --secret"


def _password_problems(settings: Settings) -> Iterator[str]:
    password = settings.postgres_password.get_secret_value()
    if password not in {"", HIDDEN} and not re.fullmatch(r"[!#-&(-\[\]-~]+", password):
        yield (
            f"{PROJECT}:postgresPassword: has a space, a quote, a backslash or a character that is not ASCII, which "
            "Flyte's connection string cannot carry; use letters, digits and the other signs"
        )
    if len(password) > LONGEST_PASSWORD:
        yield (
            f"{PROJECT}:postgresPassword: has {len(password)} characters; write at most {LONGEST_PASSWORD}, or leave "
            f"it empty: {remove_command(f'{PROJECT}:postgresPassword')}"
        )
    if settings.postgres.mode == "external":  # its server decides about its passwords
        return
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
    for index, project in enumerate(settings.projects):
        for number, name in enumerate(project.task_secrets):
            if name in groups:
                wanted.setdefault(name, []).append(project.name)
            else:  # the name is not shown: it may be a secret, typed where its group belongs
                key = f"{PROJECT}:projects[{index}].taskSecrets[{number}]"
                near = closest(name, groups)
                known = [near] if near else sorted(filter(is_harmless, groups))
                first = set_command(f"{PROJECT}:taskSecrets[0].group", "tidal-creds")
                remedy = f"write {' or '.join(known)}: {set_command(key, known[0])}" if known else f"write one: {first}"
                yield f"{key}: there is no such group in {PROJECT}:taskSecrets; {remedy}"
    for wanted_group, projects in wanted.items():
        yield from _size_problems(settings, wanted_group)
        for part in groups[wanted_group].keys:
            why = f"project {', '.join(projects)} asks for the group {shown(wanted_group)}"
            yield from _value_problems(settings, part, why)


def _other_manager_problems(settings: Settings) -> Iterator[str]:
    """Secrets that Pulumi would keep although nothing reads them, and what Vault's agent needs."""
    manager = f"{PROJECT}:secretManager.type is {settings.secret_manager.type!r}"
    passwords = {login.setting for login in settings.registries.logins}
    for name in sorted(filter(_is_for_tasks, settings.secret_values.keys() - passwords)):
        yield (
            f"{PROJECT}:{name}: has no effect, because {manager}; put the secret there, and write "
            f"pulumi config rm {PROJECT}:{name}"
        )
    if settings.secret_manager.type == "Global" and not settings.secret_manager.global_secrets:
        key = f"{PROJECT}:secretManager.globalSecrets"
        yield f"{key}: is empty, but {manager}, so no task gets a secret; write {set_command(f'{key}[0]', 'spotify')}"
    if settings.secret_manager.type != "Vault":
        return
    agent = f"{manager}, whose agent logs in with the token of the pod"
    if not any(project.service_account_token for project in settings.projects):
        yield (
            f"{PROJECT}:projects: {agent}, and no project has one; write serviceAccountToken: true where tasks ask for "
            f"secrets: {set_command(f'{PROJECT}:projects[0].serviceAccountToken', True)}"
        )
        return
    for index, project in enumerate(settings.projects):
        if project.task_secrets and not project.service_account_token:
            key = f"{PROJECT}:projects[{index}]"
            yield (
                f"{key}.serviceAccountToken: is false, but tasks of {shown(project.name)} ask for secrets, and {agent}"
                f"; write {set_command(f'{key}.serviceAccountToken', True)}, or "
                f"{remove_command(f'{key}.taskSecrets')}"
            )


def _is_for_tasks(name: str) -> bool:
    return name.split("-")[0] not in SECRET_FIELDS - {"tidalCreds"}


def _size_problems(settings: Settings, group: str) -> Iterator[str]:
    for domain, values in _values(settings, group).items():
        size = sum(len(text.encode()) for text in values.values())
        if size > LARGEST_SECRET:
            yield (
                f"{PROJECT}:taskSecrets: the values of the group {shown(group)} have {size} bytes in the domain "
                f"{shown(domain)}; Kubernetes allows {LARGEST_SECRET} (1 MiB) for one Secret: shorten them, or spread "
                "them over several groups"
            )
            return


def _values(settings: Settings, group: str) -> dict[str, dict[str, str]]:
    """The values of ``group`` by domain and key."""
    (found,) = [one for one in settings.task_secrets if one.group == group][-1:]
    return {
        domain: {key.key: settings.secret_for(key.setting, domain) for key in found.keys} for domain in settings.domains
    }


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
