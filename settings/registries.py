"""Registries at home: the mirror of all images, and logins with which the cluster pulls images."""

import base64
import json
import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field

from settings.values import Model, SettingName, has_server

_DOCKER_HUB = "https://index.docker.io/v1/"
"""Name of Docker Hub in Docker's configuration.

https://kubernetes.io/docs/concepts/containers/images/#config-json
"""


def _registry(value: str) -> str:
    # Without a dot or a port, the first part of a reference is a folder of Docker Hub.
    if not re.fullmatch(r"[a-z0-9.-]+(:[0-9]+)?", value) or not ({".", ":"} & {*value} and has_server(f"//{value}")):
        raise ValueError("is not a registry; write its host, and its port if it has one, like registry.home:5000")
    return value


def _mirror(value: str) -> str:
    host, _, path = value.partition("/")
    part = "[a-z0-9]+(?:(?:[.]|_{1,2}|-+)[a-z0-9]+)*"
    try:
        valid = not value or (bool(_registry(host)) and bool(re.fullmatch(rf"(?:{part}(?:/{part})*)?", path)))
    except ValueError:
        valid = False
    if not valid or value.endswith("/"):
        raise ValueError(
            "is not a place in a registry; write it like registry.home:5000 or registry.home:5000/mirror, without "
            "https:// and without a tag"
        )
    return value


class RegistryLogin(Model):
    """A registry that requires a login, and the user with which the cluster pulls from it."""

    host: Annotated[str, AfterValidator(_registry)]
    """Host of the registry, with its port if it has one, as in the references of its images."""
    user: str = Field(min_length=1, max_length=256, pattern=r"^[!-9;-~]+$")
    """User at the registry; one who may only pull is enough."""
    setting: SettingName = "registryPassword"
    """Name of the secret setting with the user's password."""


class Registries(Model):
    """The registries that the cluster pulls images from."""

    mirror: Annotated[str, AfterValidator(_mirror)] = ""
    """Registry, and path in it, in place of the registry of every image that flyte-home:images does not name."""
    logins: list[RegistryLogin] = []
    """Logins for the images of the stack, and for those of all tasks."""


def docker_config(registries: Registries, passwords: Mapping[str, str]) -> str:
    """Docker's configuration with the logins, as a Secret for pulling images has it; empty without logins.

    Args:
        registries: the logins.
        passwords: the passwords by their settings.
    """
    if not registries.logins:
        return ""
    logins = {
        _DOCKER_HUB if login.host == "docker.io" else login.host: {
            "auth": base64.b64encode(f"{login.user}:{passwords.get(login.setting, '')}".encode()).decode()
        }
        for login in registries.logins
    }
    return json.dumps({"auths": logins})
