"""The check of the links from Flyte's console to the logs."""

import urllib.parse
from collections.abc import Iterator, Sequence

from ops.doctor.check import Result, ok, remark, wrong
from ops.doctor.stack import Stack
from ops.lib.client import NoAnswerError


def check_log_links(stack: Stack, links: Sequence[tuple[str, str]]) -> Iterator[Result]:
    """Check that a server answers at the target of each log link.

    Args:
        stack: the stack.
        links: name and URL of each link; the URL may have placeholders such as ``{{ .podName }}``.
    """
    fine = []
    for name, template in links:
        parts = urllib.parse.urlsplit(template)
        server = f"{parts.scheme}://{parts.netloc}"
        if "{" in server or parts.scheme not in {"http", "https"}:
            yield remark(f"the log link {name!r} has a placeholder before its path, so it cannot be tested")
            continue
        try:
            stack.client.request(f"{server}/", seconds=5)
        except NoAnswerError as error:
            yield wrong(
                f"the log link {name!r} leads to {server}, which does not answer: {error}", f"curl -v {server}/"
            )
        else:
            fine.append(f"{name} at {server}")
    if fine or not links:
        yield ok(", ".join(fine) or "none are set")
