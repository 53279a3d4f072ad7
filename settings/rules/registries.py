"""Rules for logins at registries."""

import re
from collections.abc import Iterator

from settings.messages.commands import remove_command, set_command
from settings.secrets import HIDDEN
from settings.stack import FIELDS, PROJECT, SECRET_FIELDS, Settings

_SETTING = "registryPassword"  # the default of registries.logins[].setting


def registry_problems(settings: Settings) -> Iterator[str]:
    """Logins that occur twice, that have no password, or whose password no registry accepts."""
    seen: dict[str, int] = {}
    for index, login in enumerate(settings.registries.logins):
        place = f"{PROJECT}:registries.logins[{index}]"
        first = seen.setdefault(login.host, index)
        if first != index:
            yield f"{place}.host: {login.host!r} occurs twice; leave one out: {remove_command(place)}"
        if login.setting in FIELDS.keys() - {_SETTING} or login.setting in _settings_of_tasks(settings):
            yield (
                f"{place}.setting: {login.setting!r} is a setting with another meaning; choose another name: "
                f"{set_command(f'{place}.setting', 'secondRegistryPassword')}"
            )
            continue
        yield from _password_problems(settings, place, login.setting)
    if settings.registry_password.get_secret_value() and not any(
        login.setting == _SETTING for login in settings.registries.logins
    ):
        yield (
            f"{PROJECT}:{_SETTING}: has no effect, because no login in {PROJECT}:registries.logins has it; write the "
            f"host and the user: {set_command(f'{PROJECT}:registries.logins[0].host', 'registry.home:5000')}, or "
            f"pulumi config rm {PROJECT}:{_SETTING}"
        )


def _settings_of_tasks(settings: Settings) -> set[str]:
    return {key.setting for group in settings.task_secrets for key in group.keys} - SECRET_FIELDS


def _password_problems(settings: Settings, place: str, setting: str) -> Iterator[str]:
    remedy = f"write pulumi config set --secret {PROJECT}:{setting}"
    password = settings.secret_for(setting, "")
    if not password:
        yield f"{PROJECT}:{setting}: is missing or empty, but {place} needs it; {remedy}"
    elif password == HIDDEN:
        return
    elif password.lstrip().startswith("{"):
        yield (
            f"{PROJECT}:{setting}: is JSON, perhaps Docker's whole configuration, but must be the password of the "
            f"user alone; {remedy}"
        )
    elif re.search(r"[\x00-\x1f\x7f]", password):
        yield f"{PROJECT}:{setting}: has a line break or another control character, which no login accepts; {remedy}"
