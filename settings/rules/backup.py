"""Rules for the backup."""

import re
from collections.abc import Iterator

from settings.messages.commands import remove_command, set_command
from settings.messages.shown import shown
from settings.secrets import HIDDEN
from settings.stack import PROJECT, Settings

_CREDENTIALS = f"{PROJECT}:backupCredentials"
_OWN_CLAIM = re.compile(r"postgres-data(-\d+)?|minio-data|backup-work")
_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----\n.*-----END [A-Z ]*PRIVATE KEY-----\s*", re.DOTALL)


def backup_problems(settings: Settings) -> Iterator[str]:
    """A target without what opens it, and settings that belong to another kind of target."""
    backup, credentials = settings.backup, settings.backup_credentials.get_secret_value()
    key = f"{PROJECT}:backup"
    if backup.kind in {"none", "claim"} and credentials:
        why = f"{key}.target is a claim" if backup.target else f"{key}.target is empty"
        yield f"{_CREDENTIALS}: has no effect, because {why}; write pulumi config rm {_CREDENTIALS}"
    if backup.kind != "s3":
        for name, value in (
            ("accessKeyId", backup.access_key_id),
            ("region", backup.region),
            ("certificateAuthority", backup.certificate_authority),
        ):
            if value:
                yield _no_effect(name, "S3")
    if backup.kind != "sftp" and backup.known_hosts:
        yield _no_effect("knownHosts", "SFTP")
    if backup.kind == "s3":
        yield from _s3_problems(settings, credentials)
    if backup.kind == "sftp":
        if not backup.known_hosts:
            yield (
                f"{key}.knownHosts: is empty, so any server could pose as {backup.host}; write what "
                f"ssh-keyscan -p {backup.port} {backup.host} prints: {set_command(f'{key}.knownHosts[0]', 'LINE')}"
            )
        if credentials != HIDDEN and not _KEY.fullmatch(credentials):
            yield (
                f"{_CREDENTIALS}: is missing, or not a private SSH key; "
                f"write pulumi config set --secret {_CREDENTIALS} < ~/.ssh/key-for-backups"
            )
    if _OWN_CLAIM.fullmatch(backup.claim):
        yield (
            f"{key}.target: {shown(backup.claim)} is a volume of the stack itself, which is lost with what it should "
            "restore; choose a claim on another disk"
        )
    drill = settings.drill_namespace
    if drill and (len(drill) > 63 or settings.namespaces.count(drill) > 1):
        yield (
            f"{PROJECT}:namespace: {shown(settings.namespace)} leads to the namespace {drill} for rehearsed restores, "
            "which is too long or in use; choose another name"
        )


def _s3_problems(settings: Settings, credentials: str) -> Iterator[str]:
    key = f"{PROJECT}:backup"
    if not settings.backup.access_key_id:
        yield f"{key}.accessKeyId: is empty; write {set_command(f'{key}.accessKeyId', 'flyte-backup')}"
    if not credentials.strip() or re.search(r"\s", credentials.strip()):
        yield (
            f"{_CREDENTIALS}: is missing, or not a secret key of S3; write pulumi config set --secret {_CREDENTIALS}"
        )
    own = {"minio", *(f"minio.{settings.namespace}{end}" for end in ("", ".svc", ".svc.cluster.local"))}
    if settings.backup.host.lower() in own:
        yield (
            f"{key}.target: is the stack's own object store, which is lost with what it should restore; "
            "choose a server on another disk"
        )


def _no_effect(name: str, kind: str) -> str:
    setting = f"{PROJECT}:backup.{name}"
    return f"{setting}: is only for {kind}, and {PROJECT}:backup.target is not; leave it out: {remove_command(setting)}"


def backup_warnings(settings: Settings) -> Iterator[str]:
    """Data that is worth protecting, but has no backup; and a backup that nothing opens without this machine."""
    if settings.protect and not settings.backup.target:
        yield (
            f"{PROJECT}:backup.target is empty, so this stack is protected against mistakes, but not against the loss "
            "of a disk; see docs/backup.md"
        )
    if settings.backup.target and not settings.backup.recovery_key:
        yield (
            f"{PROJECT}:backup.recoveryKey is empty: without this machine and the cluster, no backup can be opened; "
            "run make backup-key"
        )
