"""The check of Flyte's mails."""

import json
import re
from collections.abc import Iterator

from components.flyte import names as flyte
from ops.doctor.check import Result, ok, remark, wrong
from ops.doctor.stack import Stack
from ops.lib.text import one_line

_HOURS = 24
# https://github.com/flyteorg/flyte/blob/v1.16.8/flyteadmin/pkg/async/notifications/implementations/smtp_emailer.go
_ERROR = re.compile(
    r"Error (?:creating email client|initiating connection to SMTP server|authenticating email client|"
    r"creating email instance|adding email recipient|writing mail body|closing mail body): (?P<why>.+)"
)


def check_mail(stack: Stack) -> Iterator[Result]:
    """Check that Flyte's log of the last day has no mail that was not sent. Flyte does not repeat one."""
    arguments = ["logs", f"deployment/{flyte.RELEASE}", f"--namespace={stack.namespace}", f"--since={_HOURS}h"]
    answer = stack.cluster.run(*arguments)
    if answer.returncode:
        yield remark(f"Flyte's log cannot be read: {one_line(answer.stderr)}")
        return
    lost = [found for line in answer.stdout.splitlines() if (found := _ERROR.match(_message(line)))]
    server = f"{stack.settings.notifications.host}:{stack.settings.notifications.port}"
    if not lost:
        yield ok(f"none was lost in {_HOURS} hours; they go to {server}")
        return
    yield wrong(
        f"Flyte lost mails in the last {_HOURS} hours, the last because {server} could not be used: "
        f"{one_line(lost[-1]['why'], 200)}",
        _remedy(stack, lost[-1][0].lower()),
    )


def _message(line: str) -> str:
    """Return the message of a line of Flyte's log, which is JSON."""
    try:
        content = json.loads(line)
    except ValueError:
        return ""
    return str(content.get("msg", "")) if isinstance(content, dict) else ""


def _remedy(stack: Stack, error: str) -> str:
    """Return the command that fixes it, or what to look at."""
    up = f"make up STACK={stack.name}"
    if "x509" in error or "certificate" in error:
        return (
            "pulumi config set --path flyte-home:notifications.caCertificate --stack "
            f"{stack.name} < authority.pem && {up}"
        )
    if "authenticating" in error:
        if "unencrypted connection" in error:
            return (
                f"# without STARTTLS, Flyte sends no password; the server may offer it at another port: {_port(stack)}"
            )
        return f"pulumi config set --secret flyte-home:smtpPassword --stack {stack.name} && {up}"
    if "creating email client" in error:
        return f"# does the mail server run? If it has moved: {_port(stack)} && {up}"
    return (
        f"# the mail server rejects the sender or a recipient; the sender is flyte-home:notifications.sender, then {up}"
    )


def _port(stack: Stack) -> str:
    return f"pulumi config set --path flyte-home:notifications.port 587 --stack {stack.name}"
