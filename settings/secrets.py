"""Secret groups that tasks ask for, and generated secrets."""

import json
from typing import Any, Literal

from pydantic import Field

from settings.values import Model, SecretKey, SecretName, SettingName

TASK_STORE_SECRET = "flyte-object-store"  # noqa: S105 (a name)
"""Name of the Secret in every task namespace with the object store's address and the key of its tasks.

Task pods get its keys as environment variables. No secret group may have this name.
"""
TASK_STORE_KEY = ("FLYTE_AWS_ACCESS_KEY_ID", "FLYTE_AWS_SECRET_ACCESS_KEY")
"""Names in it of the two parts of the tasks' key."""

HIDDEN = '{"placeholder":"the-stack-file-has-it-encrypted"}'
"""Stands for the value of a secret setting where the stack file is read without being decrypted.

A rule about the form of a secret setting accepts it: the form is checked when Pulumi runs the program.
"""

SAMPLE_CREDENTIALS = '{"sample": "not a credential: pulumi config set --secret flyte-home:tidalCreds < creds.json"}'
"""Value that `make up` and the stack files of this repository give a project that has no credentials yet."""


def is_sample(value: str) -> bool:
    """Whether ``value`` is the sample of this version or of an earlier one, whose text differs."""
    try:
        content = json.loads(value)
    except (ValueError, RecursionError):
        return False
    if not isinstance(content, dict) or set(content) != {"sample"}:
        return False
    return str(content["sample"]).startswith("not a credential: ")


class TaskSecretKey(Model):
    """One key of a secret group."""

    key: SecretKey
    """Key, as a task asks for it."""
    setting: SettingName
    """Name of the secret setting with the value."""
    format: Literal["text", "json"] = "text"
    """json: the value must be a JSON object."""


class TaskSecretGroup(Model):
    """A secret group as a task asks for it: the Kubernetes Secret ``group`` in its namespace."""

    group: SecretName
    """Name of the group, and of the Secret."""
    keys: list[TaskSecretKey] = Field(min_length=1)
    """Keys of the group."""


def _generation() -> Any:
    return Field(default=1, ge=1, le=1_000_000)


class Generations(Model):
    """Generations of the generated secrets: another number generates another secret."""

    postgres: int = _generation()
    """Generation of the password of the database role flyte, if postgresPassword gives none."""
    postgres_superuser: int = _generation()
    """Generation of the password of the database superuser; mode cloudnative-pg: of the key of the servers."""
    minio_root: int = _generation()
    """Generation of the object store's root password."""
    minio_flyte: int = _generation()
    """Generation of Flyte's key of the object store."""
    minio_tasks: int = _generation()
    """Generation of the task keys of the object store, for all projects and domains."""
    webhook: int = _generation()
    """Generation of the certificate of Flyte's webhook."""
    auth: int = _generation()
    """Generation of the keys of Flyte's login. Everyone has to log in again."""
    monitoring: int = _generation()
    """Generation of the password and the key with which the metrics of the database and the object store are read."""
