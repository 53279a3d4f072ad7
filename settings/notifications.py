"""Mails about executions, which launch plans ask for."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from settings.certificates import Certificates
from settings.messages.commands import remove_command
from settings.values import Model, PartError, check_switch, has_server

_TLS_FIRST = 465


def _mail_server(value: str) -> str:
    # Flyte puts host and port together with a colon, which an IPv6 address does not survive.
    if value and (not re.fullmatch(r"[A-Za-z0-9.-]+", value) or not has_server(f"//{value.lower()}")):
        raise ValueError("is not the host of a mail server; write it like mail.home.example, without a port")
    return value


def _port(value: int) -> int:
    if value == _TLS_FIRST:
        raise ValueError(
            "is for TLS from the first byte, which Flyte 1 cannot use; write the port for STARTTLS, such as 587"
        )
    return value


def _address(value: str) -> str:
    if value and not re.fullmatch(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+", value):
        raise ValueError("is not the address of a mailbox; write it like flyte@home.example, without a name")
    return value


class Notifications(Model):
    """Flyte's mails about executions, through a mail server.

    https://docs-legacy.flyte.org/en/latest/user_guide/productionizing/notifications.html
    """

    host: Annotated[str, AfterValidator(_mail_server)] = ""
    """Mail server; empty: no mails."""
    port: Annotated[int, AfterValidator(_port)] = Field(default=587, ge=1, le=65535)
    """Port at which the mail server speaks SMTP, with STARTTLS if it offers that."""
    sender: Annotated[str, AfterValidator(_address)] = ""
    """Address that the mails come from."""
    user: str = Field(default="", max_length=256, pattern=r"^[ -~]*$")
    """User with which Flyte logs in; its password belongs in the secret setting smtpPassword. Empty: no login."""
    verify_certificate: bool = True
    """Whether Flyte checks the certificate of the mail server."""
    ca_certificate: Certificates = ""
    """Certificate in PEM of the private authority that signed the mail server's."""

    def model_post_init(self, _context: object) -> None:
        remove = remove_command("flyte-home:notifications")
        check_switch(self, "host", "there are no mails", remove, "mail.home.example")
        if self.host and not self.sender:
            raise PartError("has a host, but no sender; write one", "sender", "flyte@home.example")
