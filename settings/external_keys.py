"""The keys of an external object store, as the secret settings give them."""

from collections.abc import Mapping
from dataclasses import dataclass

from settings.external_store import BACKUP_KEY, STORE_KEY, ExternalKey, read_key
from settings.stack import Settings


@dataclass(frozen=True)
class ExternalKeys:
    """The keys of an external store. With roles of AWS there is at most that of the backup."""

    flyte: ExternalKey | None
    """Flyte's own key."""
    tasks: Mapping[str, ExternalKey]
    """Keys of the tasks, by task namespace; only of those that have one of their own."""
    backup: ExternalKey | None
    """Key of the backup, if it has one of its own."""


def external_keys(settings: Settings) -> ExternalKeys:
    """The keys of a stack with an external store.

    Raises:
        ValueError: a setting holds no key. The rules have reported it before.
    """

    def read(name: str) -> ExternalKey | None:
        value = settings.secret_values.get(name)
        return read_key(value.get_secret_value()) if value else None

    tasks = {namespace: key for namespace, name in settings.store_key_settings.items() if (key := read(name))}
    return ExternalKeys(read(STORE_KEY), tasks, read(BACKUP_KEY))
