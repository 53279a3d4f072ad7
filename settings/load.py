"""Reading the settings: the only place that reads Pulumi's configuration.

A stack file that breaks a rule ends in one :class:`SettingsError` that lists every problem at once, before Pulumi has
registered any resource.
"""

from collections.abc import Collection, Mapping
from typing import Any

import pulumi
import pulumi.runtime.config as pulumi_config
from pydantic import SecretStr, ValidationError

from settings import rules
from settings.errors import SettingsError
from settings.external_store import BACKUP_KEY, STORE_KEY
from settings.merge import merged
from settings.messages.commands import remove_command
from settings.messages.explanation import explained, unreadable
from settings.presets import OF_PRESET, PRESETS
from settings.stack import FIELDS, PROJECT, SECRET_FIELDS, Settings
from settings.values import Model


def load_settings() -> Settings:
    """The settings of the running stack.

    Raises:
        SettingsError: listing everything that is wrong, and for each problem what to write instead.
    """
    config = pulumi_config.get_config_env() | pulumi_config.CONFIG.get()
    # pulumi.Config cannot list keys, and an unknown key must be an error rather than be ignored.
    secrets = {*pulumi_config.get_config_secret_keys_env(), *filter(pulumi_config.is_config_secret, config)}
    return settings_from(config, secrets)


def settings_from(config: Mapping[str, str], secret_keys: Collection[str]) -> Settings:
    """The settings in ``config``.

    Args:
        config: values by full key, as Pulumi passes them to a program; structures are JSON.
        secret_keys: the full keys whose values are encrypted in the stack file.

    Raises:
        SettingsError: see :func:`load_settings`.
    """
    own = {key.removeprefix(f"{PROJECT}:"): text for key, text in config.items() if key.startswith(f"{PROJECT}:")}
    encrypted = {key.removeprefix(f"{PROJECT}:") for key in secret_keys}
    problems = list(rules.provider_problems(config, secret_keys))
    values = {name: config.get(f"kubernetes:{name}", "") for name in ("context", "kubeconfig")}
    decoded, wrong = _decoded(own, encrypted)
    problems += wrong
    try:
        settings = Settings.model_validate(values | decoded)
    except ValidationError as error:
        raise SettingsError(*problems, *explained(error)) from None
    except RecursionError:
        raise SettingsError(*problems, f"{PROJECT}: a setting is nested too deeply; write it flatter") from None
    if wrong:  # the rules would compare other settings with defaults
        raise SettingsError(*problems)

    names = _secret_names(settings)
    given = {key: SecretStr(own[key]) for key in names & own.keys() if own[key].strip()}
    settings = settings.model_copy(
        update={
            "secret_values": given,
            "tidal_creds": given.get("tidalCreds", SecretStr("")),
            "postgres_password": given.get("postgresPassword", SecretStr("")),
            "postgres_archive_key": given.get("postgresArchiveKey", SecretStr("")),
            "backup_credentials": given.get("backupCredentials", SecretStr("")),
            "object_store_key": given.get(STORE_KEY, SecretStr("")),
            "oidc_client_secret": given.get("oidcClientSecret", SecretStr("")),
            "smtp_password": given.get("smtpPassword", SecretStr("")),
            "registry_password": given.get("registryPassword", SecretStr("")),
            "secret_manager": settings.secret_manager.through(settings.registries.mirror),
        }
    )
    problems += rules.key_problems(own.keys(), names)
    problems += rules.plain_text_problems(given, encrypted)
    for key in sorted(given):
        if "\0" in given[key].get_secret_value():
            problems.append(
                f"{PROJECT}:{key}: has the control character U+0000, which no environment variable can carry"
            )
    problems += rules.problems(settings)
    if problems:
        raise SettingsError(*problems)
    for warning in rules.warnings(settings):
        pulumi.log.warn(warning)
    return settings


def _secret_names(settings: Settings) -> set[str]:
    """Names that secret settings may have: the stack's own, and those that registries and task secrets name.

    Those of task secrets may be followed by a domain.
    """
    names = {key.setting for group in settings.task_secrets for key in group.keys} - (FIELDS.keys() - SECRET_FIELDS)
    names |= {f"{name}-{domain}" for name in names for domain in settings.domains}
    passwords = {login.setting for login in settings.registries.logins} - FIELDS.keys()
    return SECRET_FIELDS | names | passwords | {BACKUP_KEY, *settings.store_key_settings.values()}


def _decoded(own: Mapping[str, str], encrypted: Collection[str]) -> tuple[dict[str, Any], list[str]]:
    """The settings that are not secrets, as data; and the problems of those that cannot be read."""
    problems = []
    preset = PRESETS.get(own.get("preset", ""), {})
    values: dict[str, Any] = {key: _completed(FIELDS[key].default, preset.get(key, {})) for key in OF_PRESET}
    for key in sorted(FIELDS.keys() & own.keys() - SECRET_FIELDS):
        if key in encrypted:
            problems.append(
                f"{PROJECT}:{key}: is encrypted, but ends up in plain text in the cluster. Secrets have their own "
                f"settings; write this one without --secret, after {remove_command(f'{PROJECT}:{key}')}"
            )
            continue
        given: Any = own[key]
        if FIELDS[key].annotation is not str and key != "preset":
            try:
                given = rules.strict_json(own[key])
            except (ValueError, RecursionError):
                problems.append(unreadable(key, own[key]))
                continue
        if wrong := list(rules.text_problems(f"{PROJECT}:{key}", given)):
            problems += wrong
        else:
            values[key] = _completed(values.get(key, FIELDS[key].default), given)
    return values, problems


def _completed(default: Any, given: Any) -> Any:
    """``given`` merged over the ``default`` of its setting, so that a stack file names only what differs."""
    known = default.model_dump(by_alias=True) if isinstance(default, Model) else default
    return merged(known, given) if isinstance(known, dict) and isinstance(given, dict) else given
