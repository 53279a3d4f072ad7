"""Markdown for the reports on GitHub: without secrets, and short enough for a comment."""

import base64
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ops.ci.lib.changes import Change
from ops.ci.lib.github import LONGEST

MASK = "***"
# Shorter texts also occur in ordinary words.
_SHORTEST_SECRET = 6
_SHOWN_PROPERTIES = 5
_SHOWN_CHANGES = 80


def masked(text: str, secrets: Iterable[str]) -> str:
    """Return ``text`` with the ``secrets`` masked, including their base64 and JSON-escaped forms."""
    for form in sorted({form for secret in secrets for form in _forms(secret)}, key=len, reverse=True):
        text = text.replace(form, MASK)
    return text


def _forms(secret: str) -> Iterable[str]:
    for part in {secret, *_leaves(secret)}:
        if len(part) >= _SHORTEST_SECRET:
            yield part
            yield base64.b64encode(part.encode()).decode()
            yield json.dumps(part)[1:-1]


def _leaves(secret: str) -> Iterable[str]:
    """Return the strings inside a secret that is a JSON document."""
    try:
        waiting: list[Any] = [json.loads(secret)]
    except ValueError:
        return
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, list | dict):
            waiting += value.values() if isinstance(value, dict) else value


def table(changes: Sequence[Change]) -> str:
    """Return a table of the changes: operation, resource and the paths of the properties that differ."""
    rows = ["| | resource | properties |", "| --- | --- | --- |"]
    for change in changes[:_SHOWN_CHANGES]:
        shown = [f"`{path}`" for path in change.properties[:_SHOWN_PROPERTIES]]
        more = len(change.properties) - len(shown)
        paths = ", ".join([*shown, *([f"{more} more"] if more else [])]).replace("|", "\\|")
        warning = ":warning: " if change.loses_data else ""
        rows.append(f"| {warning}{change.operation} | `{change.name}` | {paths} |")
    if len(changes) > _SHOWN_CHANGES:
        rows.append(f"| | {len(changes) - _SHOWN_CHANGES} more; the log of the run has all of them | |")
    return "\n".join(rows)


def block(text: str, language: str = "") -> str:
    """Return ``text`` as a code block, with a fence longer than any fence inside."""
    longest = max((len(ticks) for ticks in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def folded(title: str, content: str) -> str:
    """Return ``content`` collapsed under ``title``."""
    return f"<details><summary>{title}</summary>\n\n{content}\n\n</details>"


def shortened(text: str, longest: int = LONGEST) -> str:
    """Return ``text``, cut after a line if it is longer than ``longest`` characters, with a note about the rest."""
    if len(text) <= longest:
        return text
    kept = text[:longest].rsplit("\n", 1)[0]
    return f"{kept}\n... {len(text) - len(kept)} more characters; the artifacts of the run have the whole text"


def write(out: Path, name: str, text: str) -> None:
    """Write a report to ``name.md`` in the folder ``out``, and to the summary page of the run on GitHub."""
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{name}.md").write_text(text)
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary and text:
        with Path(summary).open("a") as page:
            page.write(f"{shortened(text)}\n")


def known_secrets(config: Mapping[str, Any], environment: Mapping[str, str]) -> list[str]:
    """Return the texts that no report may contain: the stack's secret settings and the keys to its state."""
    passphrases = [environment.get("PULUMI_CONFIG_PASSPHRASE", ""), environment.get("PULUMI_ACCESS_TOKEN", "")]
    return [*(found.value for found in config.values() if found.secret), *filter(None, passphrases)]
