"""The texts that people read on GitHub: short, without secrets, and never more than fits into a comment."""

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
# Shorter texts are in ordinary words, too.
_SHORTEST_SECRET = 6
_SHOWN_PROPERTIES = 5
_SHOWN_CHANGES = 80


def masked(text: str, secrets: Iterable[str]) -> str:
    """``text`` without the ``secrets``, also where they are in base64 or inside of a JSON document."""
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
    """The texts in a secret that is a JSON document."""
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
    """The changes as a table: what happens to which resource, and the properties that differ."""
    rows = ["| | resource | properties |", "| --- | --- | --- |"]
    for change in changes[:_SHOWN_CHANGES]:
        shown = [f"`{path}`" for path in change.properties[:_SHOWN_PROPERTIES]]
        more = len(change.properties) - len(shown)
        paths = ", ".join([*shown, *([f"{more} more"] if more else [])]).replace("|", "\\|")
        warning = ":warning: " if change.loses_data else ""
        rows.append(f"| {warning}{change.operation} | `{change.name}` | {paths} |")
    if len(changes) > _SHOWN_CHANGES:
        rows.append(f"| | {len(changes) - _SHOWN_CHANGES} more; all of them are in the log of the run | |")
    return "\n".join(rows)


def block(text: str, language: str = "") -> str:
    """``text`` as a block of code, whatever fences it has itself."""
    longest = max((len(ticks) for ticks in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def folded(title: str, content: str) -> str:
    """``content`` behind ``title``, shown at a click."""
    return f"<details><summary>{title}</summary>\n\n{content}\n\n</details>"


def shortened(text: str, longest: int = LONGEST) -> str:
    """The beginning of ``text`` that fits, ending at a line, with a word about the rest."""
    if len(text) <= longest:
        return text
    kept = text[:longest].rsplit("\n", 1)[0]
    return f"{kept}\n... {len(text) - len(kept)} more characters; all of it is in the artifacts of the run"


def write(out: Path, name: str, text: str) -> None:
    """Keep a report as ``name.md`` in the folder ``out``, and on the page of the run where there is one."""
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{name}.md").write_text(text)
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary and text:
        with Path(summary).open("a") as page:
            page.write(f"{shortened(text)}\n")


def known_secrets(config: Mapping[str, Any], environment: Mapping[str, str]) -> list[str]:
    """What must be in no report: the stack's secret settings, and what opens the stack's state."""
    passphrases = [environment.get("PULUMI_CONFIG_PASSPHRASE", ""), environment.get("PULUMI_ACCESS_TOKEN", "")]
    return [*(found.value for found in config.values() if found.secret), *filter(None, passphrases)]
