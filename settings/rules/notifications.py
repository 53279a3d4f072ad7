"""Rules for the mails about executions."""

import re
from collections.abc import Iterator

from settings.messages.commands import remove_command, set_command
from settings.stack import PROJECT, Settings

_PASSWORD = f"{PROJECT}:smtpPassword"


def notification_problems(settings: Settings) -> Iterator[str]:
    """A user without a password, a password without a user, and a password that no mail server accepts."""
    mail, password = settings.notifications, settings.smtp_password.get_secret_value()
    remedy = f"write pulumi config set --secret {_PASSWORD}"
    user = f"{PROJECT}:notifications.user"
    if mail.user and not password:
        yield f"{_PASSWORD}: is missing or empty, but {user} needs it; {remedy}"
    if password and not mail.user:
        yield (
            f"{_PASSWORD}: has no effect without {user}; write {set_command(user, 'flyte')}, or "
            f"pulumi config rm {_PASSWORD}"
        )
    if re.search(r"[\x00-\x1f\x7f]", password):
        yield f"{_PASSWORD}: has a line break or another control character, which no login accepts; {remedy}"
    if mail.ca_certificate and not mail.verify_certificate:
        key = f"{PROJECT}:notifications.caCertificate"
        yield (
            f"{key}: has no effect, because {PROJECT}:notifications.verifyCertificate is false; write "
            f"{remove_command(key)}, or {remove_command(f'{PROJECT}:notifications.verifyCertificate')}"
        )


def notification_warnings(settings: Settings) -> Iterator[str]:
    """A mail server that anyone in between can pretend to be."""
    if settings.notifications.host and not settings.notifications.verify_certificate:
        yield (
            f"{PROJECT}:notifications.verifyCertificate is false, so Flyte gives its password to whatever answers at "
            f"{PROJECT}:notifications.host; write {PROJECT}:notifications.caCertificate instead"
        )
