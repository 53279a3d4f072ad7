"""``make digests``: asks the registries for the digests of the images, and pins those that are missing.

Usage: python -m ops.digests CRANE [--check]

CRANE is the path of crane, the client for registries. Without ``--check``, the digest of each image that has none is
written into settings/images.py: of all of them, or of none if a registry does not answer. With ``--check``, nothing is
written. A pinned digest that its registry does not have is an error. A tag that now has another digest is only a
notice, because publishers rebuild tags.
"""

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from paths import ROOT
from settings.images import IMAGES, Image

TABLE = ROOT / "settings" / "images.py"
"""File with the table of the images."""
_SECONDS = 120
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# Answers that a registry gives about an image, in contrast to those that mean that it was not asked.
_ABSENT = re.compile(r"MANIFEST_UNKNOWN|NAME_UNKNOWN|404 Not Found")


class AbsentError(Exception):
    """The registry does not have the image."""


class UnknownError(Exception):
    """It is unknown whether the registry has the image; the message gives the reason."""


def digest(crane: Path, reference: str) -> str:
    """Return the digest that the registry has for a reference.

    Raises:
        AbsentError: the registry does not have it.
        UnknownError: the registry cannot be asked, or its answer is not a digest.
    """
    try:
        answer = subprocess.run(
            [crane, "digest", reference], capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnknownError(str(error)) from None
    found = answer.stdout.strip()
    if answer.returncode == 0 and _DIGEST.fullmatch(found):
        return found
    if _ABSENT.search(answer.stderr):
        raise AbsentError
    lines = [line.removeprefix("Error: ") for line in answer.stderr.splitlines() if line.strip()]
    raise UnknownError(lines[-1] if lines else f"crane answers {found[:80]!r}, which is not a digest")


def pin(crane: Path, images: Mapping[str, Image], table: Path) -> int:
    """Write the missing digests into ``table``; return 0, or print messages, write nothing and return 1."""
    found, problems = {}, 0
    for name, image in images.items():
        if image.digest:
            continue
        try:
            found[name] = digest(crane, image.reference)
            print(f"{name}: {image.reference} is {found[name]}")
        except AbsentError:
            problems += _report("error", f"{name}: its registry does not have {image.reference}; change the tag")
        except UnknownError as error:
            problems += _report("error", f"{name}: the digest of {image.reference} is unknown: {error}")
    if problems:
        print("nothing was written; try again when every registry answers", file=sys.stderr)
        return 1
    if not found:
        print("every image has a digest")
        return 0
    text = table.read_text()
    for name, confirmed in found.items():
        text = with_digest(text, name, images[name], confirmed)
    table.write_text(text)
    print(f"{table.name} written; now run make docs")
    return 0


def with_digest(text: str, name: str, image: Image, confirmed: str) -> str:
    """Return the text of the table with the digest of an image that had none.

    Raises:
        ValueError: the table does not have exactly one such image.
    """
    entry = rf'("{name}": Image\(\s*"{re.escape(image.repository)}",\s*"{re.escape(image.tag or "")}",\s*)None,'
    changed, count = re.subn(entry, rf'\g<1>"{confirmed}",', text)
    if count != 1:
        raise ValueError(f"{TABLE.name}: {name} is not an image with a tag and without a digest")
    return changed


def check(crane: Path, images: Mapping[str, Image]) -> int:
    """Compare the images with their registries; return 0, or print messages and return 1."""
    problems = 0
    for name, image in images.items():
        try:
            found = digest(crane, image.reference)  # if one is pinned, crane asks for the digest and not for the tag
            if image.digest:
                _compare_tag(crane, name, image)
            else:
                _report(
                    "warning",
                    f"{name}: {image.reference} has no digest yet, and is {found}; run make digests, and commit the "
                    "result",
                )
        except AbsentError:
            problems += _report("error", f"{name}: its registry does not have {image.reference}; pin another one")
        except UnknownError as error:
            problems += _report("error", f"{name}: {image.reference} cannot be checked: {error}")
    if not problems:
        print(f"the registries have all {len(images)} images")
    return int(problems > 0)


def _compare_tag(crane: Path, name: str, image: Image) -> None:
    if not image.tag:
        return
    tagged = f"{image.repository}:{image.tag}"
    try:
        if (now := digest(crane, tagged)) != image.digest:
            _report("notice", f"{name}: {tagged} was rebuilt and is now {now}; the pinned {image.digest} still exists")
    except AbsentError:
        _report("notice", f"{name}: {tagged} no longer exists; the pinned {image.digest} still does")


def _report(level: str, message: str) -> int:
    """Print a message, on GitHub as an annotation of the run; return 1."""
    if os.environ.get("GITHUB_ACTIONS") == "true":
        print(f"::{level}::{message}")
    else:
        print(f"{level}: {message}", file=sys.stderr)
    return 1


def main() -> int:
    """Run the command line; return 0 if the digests are pinned, or exist, otherwise print messages and return 1."""
    parser = argparse.ArgumentParser(prog="digests", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("crane", type=Path)
    parser.add_argument("--check", action="store_true", help="write nothing, and compare with the registries")
    args = parser.parse_args()
    return check(args.crane, IMAGES) if args.check else pin(args.crane, IMAGES, TABLE)


if __name__ == "__main__":
    sys.exit(main())
