"""The documentation of this repository: its commands, code, links and tables, for tests."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from paths import ROOT

PAPERS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *ROOT.glob("examples/*/*.md")])
# First words of shell commands in an indented block; other lines are diagrams and output.
_PROGRAMS = ("make", "pulumi", "kubectl", "mc", "tar", "mkdir", "git", "uvx", "uv", "pyflyte", "export")
_ASSIGNMENT = re.compile(r"[A-Z_]+=\S* ")


@dataclass(frozen=True)
class Command:
    """A shell command, and the text between its heading and the command."""

    line: str
    above: str

    @property
    def words(self) -> list[str]:
        return shlex.split(self.line, comments=True)

    @property
    def is_marked(self) -> bool:
        """Whether the text says that the command needs a cluster."""
        return "needs a cluster" in self.above.lower()


def commands(paper: Path) -> Iterator[Command]:
    """The commands on lines of their own."""
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
    """The inline code, and the commands."""
    text = re.sub(r"^```.*?^```", "", paper.read_text(), flags=re.MULTILINE | re.DOTALL)
    return [*inline_code(text), *(command.line for command in commands(paper))]


def inline_code(text: str) -> list[str]:
    """The text between single backticks."""
    return re.findall(r"`([^`\n]+)`", text)


def links(paper: Path) -> list[str]:
    """The targets of the links."""
    return re.findall(r"\]\(([^)\s]+)\)", paper.read_text())


def table(paper: Path, heading: str) -> list[list[str]]:
    """The cells of the rows of the table below a heading, without its header."""
    section = re.split(r"^#+ ", paper.read_text().split(f"\n{heading}\n", 1)[1], flags=re.MULTILINE)[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("|")]
    return rows[2:]


def the_command(document: Path, part: str) -> str:
    """The only command of a document that contains this text."""
    (found,) = {command.line for command in commands(document) if part in command.line}
    return found
