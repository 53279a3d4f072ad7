"""No documented or printed command takes a secret as an argument, where every user of the machine can read it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from paths import ROOT
from settings import SAMPLE_CREDENTIALS, settings_from
from settings.errors import SettingsError
from tests.conftest import stack
from tests.papers import PAPERS, code

_CONFIG_SET = re.compile(r"pulumi config set (?P<rest>[^`;#|\n]*)")
# Options whose value is the next word.
_WITH_VALUE = {"--stack", "-s", "--cwd", "-C"}
_CREDENTIAL = re.compile(r"(?i)[a-z_-]*(password|passphrase|secret|token|access[_-]?key|from-literal)=(?!\$)\S")


def problem(text: str) -> str:
    """Which secret a command would show in its arguments; empty if there is none."""
    for found in _CONFIG_SET.finditer(text):
        words = found["rest"].split("&&")[0].split()
        if "--secret" in words and len(arguments(words)) > 1:
            return f"{found[0]}: the value of a secret is an argument; write < FILE"
    if re.search(r"[\w-]+ .*(\$\((cat|<)|`cat )", text):
        return f"{text}: the content of a file is an argument; write < FILE"
    if re.search(r"\bmc alias set \S+ \S+ [^-#|]", text):
        return f"{text}: mc asks for the key; leave it out"
    if _CREDENTIAL.search(text):
        return f"{text}: a credential is an argument"
    return ""


def arguments(words: list[str]) -> list[str]:
    """The words that are neither options nor redirections."""
    found, rest = [], iter(words)
    for word in rest:
        if word in _WITH_VALUE or word == "<":
            next(rest, None)
        elif not word.startswith(("-", "<")):
            found.append(word)
    return found


def comments(file: Path) -> list[str]:
    """The lines of a file that are comments, without the mark."""
    return [line.strip().lstrip("# ") for line in file.read_text().splitlines() if line.lstrip().startswith("#")]


def messages(file: Path) -> Iterator[str]:
    """Every text in a Python file, with ``X`` in place of each inserted value."""
    inserted: set[int] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.JoinedStr):
            inserted |= {id(part) for part in ast.walk(node) if part is not node}
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inserted:
            yield node.value


STACK_FILES = [*ROOT.glob("Pulumi*.yaml"), ROOT / "Makefile"]
PROGRAM = [
    ROOT / "__main__.py",
    *(file for folder in ("settings", "ops", "components") for file in (ROOT / folder).rglob("*.py")),
]


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: str(paper.relative_to(ROOT)))
def test_no_command_of_the_documentation_has_a_secret_in_its_arguments(paper: Path):
    assert [text for line in code(paper) if (text := problem(line))] == []


@pytest.mark.parametrize("file", STACK_FILES, ids=lambda file: file.name)
def test_no_command_in_a_comment_has_a_secret_in_its_arguments(file: Path):
    assert [text for line in comments(file) if (text := problem(line))] == []


def test_no_command_that_the_program_prints_has_a_secret_in_its_arguments():
    printed = [text for file in PROGRAM for text in messages(file) if "pulumi config set" in text]

    assert len(printed) > 8
    assert [found for text in printed if (found := problem(text))] == []


def test_the_message_about_missing_credentials_shows_how_to_set_them_from_a_file():
    with pytest.raises(SettingsError) as refused:
        settings_from(*stack(tidalCreds=None))

    assert str(refused.value).endswith("write pulumi config set --secret flyte-home:tidalCreds < creds.json")
    assert problem(str(refused.value)) == problem(SAMPLE_CREDENTIALS) == ""


@pytest.mark.parametrize(
    "command",
    [
        'pulumi config set --secret flyte-home:tidalCreds "$(cat creds.json)" --stack dev',
        "pulumi config set flyte-home:postgresPassword hunter2 --secret",
        "pulumi config set --stack dev --secret flyte-home:postgresPassword hunter2",
        "pulumi config set --path --secret X:X X",
        'kubectl create secret generic tidal-creds "--from-file=json=$(cat creds.json)"',
        "kubectl create secret generic a --from-literal=json=planted",
        "mc alias set home http://127.0.0.1:9000 root planted",
        "export PULUMI_CONFIG_PASSPHRASE=planted",
    ],
)
def test_a_command_with_a_secret_in_its_arguments_is_found(command: str):
    assert problem(command)


@pytest.mark.parametrize(
    "command",
    [
        "pulumi config set --secret flyte-home:tidalCreds --stack dev < creds.json && make up",
        "pulumi config set --secret flyte-home:postgresPassword",
        "pulumi config set --path flyte-home:postgres.volume.size 20Gi",
        "mc alias set home http://127.0.0.1:9000",
        "make render SECRETS=show",
    ],
)
def test_a_command_without_a_secret_in_its_arguments_is_not_found(command: str):
    assert problem(command) == ""
