"""Flyte's mails about executions."""

from __future__ import annotations

import os.path
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components.flyte.names import SECRETS_FOLDER
from components.pods import LABELS, Platform
from settings.notifications import Notifications
from settings.stack import Settings

_PASSWORD, _CA = "password", "ca.pem"  # keys of the Secret
_VOLUME, _FOLDER = "mail", "/etc/flyte/mail"
_TRUST_VOLUME, _TRUST = "mail-trust", "/etc/flyte/mail-trust"
_SUBJECT = "Flyte: {{ workflow.name }} in {{ project }}-{{ domain }} has {{ phase }}"
_BODY = (
    "<p>Execution {path} of {{{{ workflow.name }}}} in {{{{ project }}}}-{{{{ domain }}}} has {{{{ phase }}}}."
    "{{{{ error }}}}</p>"
)
_CONSOLE = "{}/console/projects/{{{{ project }}}}/domains/{{{{ domain }}}}/executions/{{{{ name }}}}"


@dataclass(frozen=True)
class FlyteMail:
    """What Flyte needs for its mails."""

    secret: pulumi.Output[str]
    """Name of the Secret with the password and the certificate."""
    configuration: dict[str, Any]
    """Flyte's configuration, without any secret."""
    trusts_private_authority: bool
    """Whether the Secret has the certificate of a private authority that signed the mail server's."""

    def deployment(self, secret: str) -> dict[str, Any]:
        """Values of the chart's ``deployment`` that mount the Secret of this name."""
        mounted = [(_VOLUME, _FOLDER, _PASSWORD)]
        if self.trusts_private_authority:
            mounted.append((_TRUST_VOLUME, _TRUST, _CA))
        return {
            "extraVolumes": [
                {
                    "name": name,
                    "secret": {"secretName": secret, "defaultMode": 0o440, "items": [{"key": key, "path": key}]},
                }
                for name, _, key in mounted
            ],
            "extraVolumeMounts": [{"name": name, "mountPath": folder, "readOnly": True} for name, folder, _ in mounted],
        }

    @property
    def trust_folder(self) -> str:
        """Folder with the certificate of a private authority; empty without one."""
        return _TRUST if self.trusts_private_authority else ""


@dataclass(frozen=True)
class MailArgs:
    """The mail server, and how Flyte logs in to it."""

    platform: Platform
    settings: Notifications
    password: str
    """Password at the mail server; empty: no login."""
    http: str
    """Address at which a person reaches the console."""


class Mail(pulumi.ComponentResource):
    """What Flyte sends mails with. Flyte mails only what a launch plan asks for.

    Flyte reads the password when it starts
    (https://github.com/flyteorg/flyte/blob/v1.16.8/flyteadmin/pkg/async/notifications/implementations/smtp_emailer.go).
    """

    flyte: FlyteMail
    """What Flyte needs for its mails."""

    def __init__(self, name: str, args: MailArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flyte-home:index:Mail", name, None, opts)
        certificate = args.settings.ca_certificate
        secret = k8s.core.v1.Secret(
            name,
            metadata={"namespace": args.platform.namespace, "labels": LABELS},
            # Named by Pulumi: another password means another name, which restarts Flyte's pod.
            immutable=True,
            string_data={
                _PASSWORD: pulumi.Output.secret(args.password),
                **({_CA: pulumi.Output.secret(certificate)} if certificate else {}),
            },
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.flyte = FlyteMail(secret.metadata.name, _configuration(args), bool(certificate))
        self.register_outputs({"secret": secret.metadata.name})


def mail(name: str, platform: Platform, settings: Settings, opts: pulumi.ResourceOptions) -> FlyteMail | None:
    """What Flyte needs for its mails; None if the stack has no mail server."""
    if not settings.notifications.host:
        return None
    password = settings.smtp_password.get_secret_value()
    return Mail(name, MailArgs(platform, settings.notifications, password, settings.endpoints.http), opts).flyte


def _configuration(args: MailArgs) -> dict[str, Any]:
    settings = args.settings
    link = _CONSOLE.format(args.http)
    return {
        "notifications": {
            # Mails go through a channel inside Flyte's process; the other types need a queue of a cloud
            # (https://github.com/flyteorg/flyte/blob/v1.16.8/flyteadmin/pkg/async/notifications/factory.go).
            "type": "sandbox",
            "emailer": {
                "emailServerConfig": {
                    "serviceName": "smtp",
                    "smtpServer": settings.host,
                    "smtpPort": str(settings.port),
                    "smtpSkipTLSVerify": not settings.verify_certificate,
                    "smtpUsername": settings.user,
                    # Flyte has one folder for all its secrets, which is that of the login.
                    "smtpPasswordSecretName": os.path.relpath(f"{_FOLDER}/{_PASSWORD}", SECRETS_FOLDER),
                },
                "sender": settings.sender,
                "subject": _SUBJECT,
                "body": _BODY.format(path=f'<a href="{link}">{{{{ name }}}}</a>'),
            },
        },
        "secrets": {"secrets-prefix": SECRETS_FOLDER},
    }
