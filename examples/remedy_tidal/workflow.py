# /// script
# requires-python = ">=3.11"
# dependencies = ["flytekit==1.16.31"]
# ///
"""Looks for tracks that have vanished from playlists, and reports possible replacements.

It runs as it is in plain Python, under pyflyte, in Flyte's sandbox and on a cluster; README.md has a command for each.
"""

import argparse
import functools
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from flytekit import Cache, Secret, current_context, map_task, task, workflow
from flytekit.types.file import FlyteFile

import mending
from library import Library, OfflineLibrary, Playlist
from mending import Gap

GROUP, KEY = "tidal-creds", "json"
CREDENTIALS = Secret(group=GROUP, key=KEY, mount_requirement=Secret.MountType.FILE)
# A playlist that has not changed is not searched again. Another version forgets all results, for example after a
# change of what counts as a replacement.
SEARCHED = Cache(version="1")

# Add yours here; each is opened with the content of the secret.
LIBRARIES: dict[str, Callable[[Mapping[str, Any]], Library]] = {"offline": OfflineLibrary}


class Remedy(NamedTuple):
    """The result of the workflow."""

    report: FlyteFile
    summary: str


def read_credentials() -> dict[str, Any]:
    """The content of the secret, wherever Flyte has mounted it.

    Raises:
        ValueError: the secret is missing or is not a JSON object; the message never contains it.
    """
    try:
        text = current_context().secrets.get(GROUP, KEY)
    except ValueError:
        place = current_context().secrets.get_secrets_file(GROUP, KEY)
        raise ValueError(
            f"the secret {GROUP}/{KEY} is not at {place}; on a cluster, the Secret {GROUP} with the key {KEY} belongs "
            f"into the namespace of the task, elsewhere FLYTE_SECRETS_DEFAULT_DIR names the folder of {GROUP}/{KEY}"
        ) from None
    try:
        credentials = json.loads(text)
    except json.JSONDecodeError:
        credentials = None
    if not isinstance(credentials, dict) or not credentials:
        raise ValueError(f'the secret {GROUP}/{KEY} is no JSON object with something in it, such as {{"token": ...}}')
    return credentials


def open_library(name: str) -> Library:
    """The library of this name, opened with the credentials.

    Raises:
        ValueError: there is no such library, or the credentials are missing.
    """
    if name not in LIBRARIES:
        raise ValueError(f"there is no library {name!r}; LIBRARIES in workflow.py has {', '.join(sorted(LIBRARIES))}")
    return LIBRARIES[name](read_credentials())


@task(secret_requests=[CREDENTIALS])
def read_playlists(library: str) -> list[Playlist]:
    """The playlists of a library."""
    return open_library(library).playlists()


@task(secret_requests=[CREDENTIALS], cache=SEARCHED)
def find_gaps(playlist: Playlist, library: str) -> list[Gap]:
    """The tracks that have vanished from a playlist, with possible replacements."""
    return mending.find_gaps(playlist, open_library(library))


@task
def write_report(gaps: list[list[Gap]]) -> Remedy:
    """The gaps of all playlists as a file, and summarized in a sentence."""
    found = [gap for playlist in gaps for gap in playlist]
    report = Path(current_context().working_directory, "report.csv")
    mending.write_report(found, report)
    return Remedy(FlyteFile(str(report)), mending.summary(found))


@workflow
def remedy(library: str = "offline") -> Remedy:
    """Reports on the playlists of a library without changing them. On a cluster, each playlist has a pod of its own."""
    # At most four pods at once, because a music service limits its clients.
    find = map_task(functools.partial(find_gaps, library=library), concurrency=4)
    written = write_report(gaps=find(playlist=read_playlists(library=library)))
    return Remedy(written.report, written.summary)


if __name__ == "__main__":
    # Flyte's cache on this machine would hide a change of this code.
    os.environ.setdefault("FLYTE_LOCAL_CACHE_ENABLED", "false")
    # By default, use the sample.
    os.environ.setdefault("FLYTE_SECRETS_DEFAULT_DIR", str(Path(__file__).with_name("secrets")))
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--library", default="offline", help="one of " + ", ".join(sorted(LIBRARIES)))
    found = remedy(**vars(parser.parse_args()))
    print(found.summary)
    print(found.report)
