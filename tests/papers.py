"""The papers of this repository, as far as a reader would type or open what is in them."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from paths import ROOT

PAPERS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *ROOT.glob("examples/*/*.md")])
# What a line of an indented block begins with if it is for a shell; the others are pictures and output.
_PROGRAMS = ("make", "pulumi", "kubectl", "mc", "tar", "mkdir", "git", "uvx", "uv", "pyflyte", "export")
_ASSIGNMENT = re.compile(r"[A-Z_]+=\S* ")


@dataclass(frozen=True)
class Command:
    """A line for a shell, and the text above it, back to its heading."""

    line: str
    above: str

    @property
    def words(self) -> list[str]:
        return shlex.split(self.line, comments=True)

    @property
    def is_marked(self) -> bool:
        """Whether the text says that nobody can try it without a cluster."""
        return "needs a cluster" in self.above.lower()


def commands(paper: Path) -> Iterator[Command]:
    """The commands of a paper that have a line of their own."""
    section: list[str] = []
    fence = ""
    for line in paper.read_text().splitlines():
        if line.lstrip().startswith("```"):
            fence = "" if fence else line.strip().removeprefix("```") or "text"
        elif line.startswith("#") and not fence:
            section = []
        elif (fence == "sh" or (not fence and line.startswith("    "))) and _is_command(line.strip()):
            yield Command(line.strip(), "\n".join(section))
        section.append(line)


def _is_command(line: str) -> bool:
    while match := _ASSIGNMENT.match(line):
        line = line[match.end() :]
    return line.split(" ")[0] in _PROGRAMS


def code(paper: Path) -> list[str]:
    """The code in the text of a paper, and its commands."""
    text = re.sub(r"^```.*?^```", "", paper.read_text(), flags=re.MULTILINE | re.DOTALL)
    return [*re.findall(r"`([^`\n]+)`", text), *(command.line for command in commands(paper))]


def links(paper: Path) -> list[str]:
    """The addresses of a paper's links."""
    return re.findall(r"\]\(([^)\s]+)\)", paper.read_text())
