"""``make ci-diff``: reports how a change affects the rendered manifests of every stack.

Usage: python -m ops.ci.diff BASE OUT

It needs no cluster and no secret.
"""

import argparse
import difflib
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ops.ci.lib.github import LONGEST
from ops.ci.lib.report import block, folded, shortened, write
from ops.render import HEADER
from paths import ROOT
from settings.errors import SettingsError

_RENDERING_SECONDS = 120


def main() -> int:
    """Run the command line; return 0 if the stacks of this commit can be rendered, or print a message and return 1."""
    parser = argparse.ArgumentParser(prog="diff", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("base", help="commit, branch or tag to compare with")
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    try:
        with _tree_of(args.base) as base:
            report = compare(base, ROOT)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    write(args.out, "manifests", report)
    print(report)
    return 0


def compare(base: Path, head: Path) -> str:
    """Return the report about the stacks of two source trees.

    Raises:
        SettingsError: a stack of ``head`` cannot be rendered.
    """
    stacks = sorted({file.name.split(".")[1] for tree in (base, head) for file in tree.glob("Pulumi.*.yaml")})
    # The comment has the previews, too.
    parts = [_compared(stack, base, head, LONGEST // 3 // len(stacks)) for stack in stacks]
    return "\n\n".join(f"### Manifests of `{stack}`: {text}" for stack, text in zip(stacks, parts, strict=True)) + "\n"


def _compared(stack: str, base: Path, head: Path, longest: int) -> str:
    there = [(tree / f"Pulumi.{stack}.yaml").exists() for tree in (base, head)]
    after = _rendered(stack, head) if there[1] else {}
    try:
        before = _rendered(stack, base) if there[0] else {}
    except SettingsError as error:
        # The base is merged already, and this change may be the one that fixes it.
        return f"the manifests of the base cannot be rendered\n\n{block(str(error))}"
    text = difference(before, after)
    if not text:
        return "no change"
    added = sum(line.startswith("+") and not line.startswith("+++") for line in text.splitlines())
    removed = sum(line.startswith("-") and not line.startswith("---") for line in text.splitlines())
    return f"+{added} -{removed} lines\n\n" + folded("The difference", block(shortened(text, longest), "diff"))


def difference(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """Return the difference between two renderings, resource by resource; empty if there is none."""
    old, new = _by_resource(before), _by_resource(after)
    lines: list[str] = []
    for urn in sorted(old.keys() | new.keys()):
        (old_name, old_text), (new_name, new_text) = old.get(urn, ("/dev/null", "")), new.get(urn, ("/dev/null", ""))
        lines += difflib.unified_diff(old_text.splitlines(), new_text.splitlines(), old_name, new_name, lineterm="")
    return "\n".join(lines)


def _by_resource(files: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Return file name and content by URN: a file name may change with the content, the URN does not."""
    found = {}
    for name, text in files.items():
        header, _, content = text.partition("\n")
        found[header.removeprefix(HEADER)] = (name, content)
    return found


def _rendered(stack: str, tree: Path) -> dict[str, str]:
    """Return the files that ``make render`` writes in ``tree``, with the libraries of this environment.

    Both trees use the same libraries, so the difference shows changes of the repository only.
    """
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "ops.render", stack, out]
        answer = subprocess.run(
            command, cwd=tree, capture_output=True, text=True, timeout=_RENDERING_SECONDS, check=False
        )
        if answer.returncode:
            raise SettingsError(f"stack {stack!r} cannot be rendered: {answer.stderr.strip()}")
        return {file.name: file.read_text() for file in Path(out).iterdir()}


@contextmanager
def _tree_of(base: str) -> Iterator[Path]:
    """Check out the commit where this branch left ``base``; return its folder."""
    commit = _git("merge-base", base, "HEAD").strip()
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder, "base")
        _git("worktree", "add", "--quiet", "--detach", str(tree), commit)
        try:
            yield tree
        finally:
            _git("worktree", "remove", "--force", str(tree))


def _git(*arguments: str) -> str:
    answer = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise SettingsError(
            f"BASE: git {arguments[0]}: {answer.stderr.strip()}; fetch it with git fetch, or choose another BASE"
        )
    return answer.stdout


if __name__ == "__main__":
    sys.exit(main())
