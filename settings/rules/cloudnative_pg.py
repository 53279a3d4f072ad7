"""Rules for the database in a cluster of the operator CloudNativePG."""

import re
from collections.abc import Iterator

from settings.cloudnative_pg import Archive, CloudNativePg
from settings.messages.commands import remove_command, set_command
from settings.quantities import quantity
from settings.stack import PROJECT, Settings

_MODE, _KEY = f"{PROJECT}:postgres.mode", f"{PROJECT}:postgres.cloudnativePg"
_IMAGE, _ARCHIVE_KEY = f"{PROJECT}:images.postgresCluster", f"{PROJECT}:postgresArchiveKey"
# An instance keeps 512 MiB of the log for standbys, and the log grows to 1 GiB between checkpoints.
_LEAST = "2Gi"


def cloudnative_pg_problems(settings: Settings) -> Iterator[str]:
    """A cluster that the operator would reject, or that would stop, and descriptions that have no effect."""
    chosen, mode = settings.postgres.cloudnative_pg, settings.postgres.mode
    if mode != "cloudnative-pg":
        if chosen != CloudNativePg():
            yield (
                f"{_KEY}: has no effect, because {_MODE} is {mode!r}; write {set_command(_MODE, 'cloudnative-pg')}, or "
                f"leave it out: {remove_command(_KEY)}"
            )
        if settings.postgres_archive_key.get_secret_value():
            yield (
                f"{_ARCHIVE_KEY}: has no effect, because {_MODE} is {mode!r}; leave it out: "
                f"{remove_command(_ARCHIVE_KEY)}"
            )
        return
    if not chosen.synchronous and chosen.durability != CloudNativePg().durability:
        yield (
            f"{_KEY}.durability: has no effect, because {_KEY}.instances is 1, so that there is no standby; leave it "
            f"out: {remove_command(f'{_KEY}.durability')}"
        )
    if quantity(settings.postgres.volume.size) < quantity(_LEAST):
        key = f"{PROJECT}:postgres.volume.size"
        yield (
            f"{key}: is {settings.postgres.volume.size}, which the log of an instance alone can fill; write at least "
            f"{_LEAST}: {set_command(key, _LEAST)}"
        )
    yield from _image_problems(settings)
    yield from _archive_problems(chosen.archive, settings.postgres_archive_key.get_secret_value())


def cloudnative_pg_warnings(settings: Settings) -> Iterator[str]:
    """A cluster that stops with its first failure, although it has a standby."""
    chosen = settings.postgres.cloudnative_pg
    if settings.postgres.mode == "cloudnative-pg" and chosen.instances == 2 and chosen.durability == "required":
        yield (
            f"{_KEY}.instances is 2 with durability required: while one of them is away, Flyte can write nothing; "
            f"write {set_command(f'{_KEY}.instances', 3)}"
        )


def _image_problems(settings: Settings) -> Iterator[str]:
    """An image whose version the operator, or the stack, cannot use."""
    image = settings.chosen_images["postgresCluster"]
    match = re.match(r"(\d+)(?:\.\d+)?(?:$|-)", image.tag or "")
    if not match or int(match[1]) < 15:
        example = set_command(_IMAGE, "ghcr.io/cloudnative-pg/postgresql:17.11-minimal-trixie")
        yield (
            f"{_IMAGE}: has no tag that begins with the version of PostgreSQL, 15 or newer, which the operator reads; "
            f"write one such as {example}"
        )


def _archive_problems(archive: Archive, key: str) -> Iterator[str]:
    where = f"{_KEY}.archive"
    if not archive.destination:
        if archive != Archive():
            yield (
                f"{where}: has no effect without {where}.destination; write "
                f"{set_command(f'{where}.destination', 's3://backups/flyte')}, or leave it out: {remove_command(where)}"
            )
        if key:
            yield (
                f"{_ARCHIVE_KEY}: has no effect without {where}.destination; leave it out: "
                f"{remove_command(_ARCHIVE_KEY)}"
            )
        return
    if not archive.access_key_id:
        yield (
            f"{where}.accessKeyId: is empty, but {where}.destination needs a key; write "
            f"{set_command(f'{where}.accessKeyId', 'flyte-archive')}"
        )
    if not key:
        yield (
            f"{_ARCHIVE_KEY}: is missing or empty, but {where}.destination needs the secret key of "
            f"{archive.access_key_id or 'its user'}; write pulumi config set --secret {_ARCHIVE_KEY}"
        )
    if archive.certificate_authority and not archive.endpoint.startswith("https:"):
        yield (
            f"{where}.certificateAuthority: has no effect, because {where}.endpoint is not https; leave it out: "
            f"{remove_command(f'{where}.certificateAuthority')}"
        )
