"""``make ci-release``: deploys the last release with the state of this clone, to try the upgrade from it.

Usage: python -m ops.ci.release STACK [--release TAG]

The release runs in a git worktree of its own, which is removed afterwards. What its `make up` has written into the
stack file is merged into the stack file of this commit, as `git pull` would. On GitHub, the output `release` of the
step is the tag. Without a release there is nothing to try, and the output is empty.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from ops.lib.engine import engine_environment
from ops.lib.stack_file import stack_config
from ops.lib.worktree import make_up, worktree
from paths import ROOT
from settings import PROJECT
from settings.errors import SettingsError


def main() -> int:
    """Run the command line; return the exit code of the release's `make up`; 0 without one, or 1 with a message."""
    parser = argparse.ArgumentParser(prog="release", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("stack")
    parser.add_argument("--release", default="", help="tag of the release; default: the last one before this commit")
    args = parser.parse_args()
    try:
        config, _ = stack_config(args.stack)
        if config.get(f"{PROJECT}:clusterUid"):
            raise SettingsError(
                f"STACK: {args.stack!r} belongs to a cluster already, and an older release could damage it; try the "
                "upgrade with a stack that was never deployed, in a clone of its own"
            )
        release = args.release or last_release()
        if not release:
            _no_release()
            return 0
        code = deploy(args.stack, release, engine_environment())
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    if output := os.environ.get("GITHUB_OUTPUT"):
        with Path(output).open("a") as file:
            file.write(f"release={release}\n")
    return code


def last_release(root: Path = ROOT) -> str:
    """Return the last tag of a release before the commit that is checked out; empty if there is none.

    Raises:
        SettingsError: the clone is shallow, so that tags may be missing.
    """
    if _git(root, "rev-parse", "--is-shallow-repository") == "true":
        raise SettingsError(
            "the clone has no history, so it is unknown which release is the last: git fetch --unshallow"
        )
    describe = ("describe", "--tags", "--abbrev=0", "--match=v[0-9]*")
    tag = _git(root, *describe, "HEAD")
    if tag and _git(root, "rev-parse", f"{tag}^{{commit}}") == _git(root, "rev-parse", "HEAD"):
        return _git(root, *describe, "HEAD^")  # this commit is a release itself
    return tag


def deploy(stack: str, release: str, environment: Mapping[str, str], root: Path = ROOT) -> int:
    """Run `make up` of the release, and merge its changes of the stack file; return its exit code.

    Raises:
        SettingsError: there is no such release, or the changes of the stack file do not fit the one of this commit.
    """
    file = f"Pulumi.{stack}.yaml"
    with worktree(root, release, "RELEASE") as folder:
        if not (folder / file).is_file():
            raise SettingsError(f"STACK: the release {release} has no {file}")
        before = folder.with_name("before.yaml")
        before.write_bytes((folder / file).read_bytes())
        print(f"Deploying the release {release}", flush=True)
        try:
            return make_up(folder, stack, environment)
        finally:
            merge = ["git", "merge-file", str(root / file), str(before), str(folder / file)]
            if subprocess.run(merge, capture_output=True, check=False).returncode:
                raise SettingsError(
                    f"{file}: what the release {release} has written does not fit this commit's file; resolve the "
                    f"conflicts in {file}, as after git pull, and run make up STACK={stack}"
                )


def _no_release() -> None:
    message = "there is no tag v* before this commit, so there is no release to upgrade from: nothing was tried"
    annotated = os.environ.get("GITHUB_ACTIONS") == "true"
    print(f"::warning::{message}" if annotated else f"remark  {message}", flush=True)


def _git(root: Path, *arguments: str) -> str:
    """Return git's answer; empty if it has none."""
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


if __name__ == "__main__":
    sys.exit(main())
