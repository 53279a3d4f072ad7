"""The structure of the program: which folder may import which, and how large its parts may be."""

import ast
import io
import tokenize
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from paths import ROOT

# Longer files usually hold two topics.
LONGEST_SETTINGS_FILE = 250
LONGEST_CONTENTS_PAGE = 90


def modules(folder: str) -> Iterator[Path]:
    return (path for path in sorted((ROOT / folder).rglob("*.py")))


def imported(path: Path) -> set[str]:
    """Names of the modules that a file imports, and of what it imports from them, as far as these may be modules."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def folder_of(module: str) -> str:
    """The part of the house to which a module of this repository belongs; empty for a library."""
    parts = module.split(".")
    if parts[0] == "components":
        return (
            f"components/{parts[1]}" if len(parts) > 1 and (ROOT / "components" / parts[1]).is_dir() else "components"
        )
    return parts[0] if parts[0] in {"settings", "ops", "tests", "__main__"} else ""


def code_lines(path: Path) -> int:
    """Lines with code: neither blank, nor comment, nor the module's docstring."""
    text = path.read_text()
    docstring = ast.parse(text).body[0]
    ignored = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    lines = {
        line
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type not in ignored
        for line in range(token.start[0], token.end[0] + 1)
    }
    assert isinstance(docstring, ast.Expr)
    return len(lines - set(range(docstring.lineno, (docstring.end_lineno or 0) + 1)))


@pytest.mark.parametrize(
    ("folder", "forbidden"),
    [
        ("settings", {"components", "ops", "tests", "__main__"}),
        ("components", {"ops", "tests", "__main__"}),
        ("ops", {"tests", "__main__"}),
    ],
)
def test_a_folder_imports_nothing_that_is_built_on_it(folder: str, forbidden: set[str]):
    wrong = {
        f"{path.relative_to(ROOT)} imports {module}"
        for path in modules(folder)
        for module in imported(path)
        if folder_of(module).split("/")[0] in forbidden
    }

    assert not wrong


def test_settings_create_no_resources():
    wrong = {path.name for path in modules("settings") if "import pulumi_" in path.read_text()}

    assert not wrong


def test_folders_of_components_have_no_import_cycle():
    graph: dict[str, set[str]] = {}
    for path in modules("components"):
        own = folder_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
        others = {folder_of(module) for module in imported(path)}
        graph.setdefault(own, set()).update(others - {own, ""})

    order = list(TopologicalSorter(graph).static_order())  # raises CycleError

    assert order.index("settings") < order.index("components/pods") < order.index("components/flyte")
    assert {folder for folder in order if folder.startswith("components/")} == {
        f"components/{path.name}" for path in (ROOT / "components").iterdir() if (path / "__init__.py").exists()
    }


def test_every_folder_of_components_lists_what_it_offers():
    for path in (ROOT / "components").iterdir():
        if (path / "__init__.py").exists():
            assert "__all__ = [" in (path / "__init__.py").read_text(), path


def test_every_component_is_named_like_its_type_token():
    found = 0
    for path in modules("components"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and any("ComponentResource" in ast.unparse(base) for base in node.bases):
                assert f'"flyte-home:index:{node.name}"' in path.read_text(), node.name
                found += 1

    assert found > 10


def test_files_of_settings_are_short():
    long = {
        path.name: count
        for path in modules("settings")
        if (count := path.read_text().count("\n")) > LONGEST_SETTINGS_FILE
    }

    assert not long


def test_the_contents_page_stays_one_page():
    assert code_lines(ROOT / "__main__.py") <= LONGEST_CONTENTS_PAGE
