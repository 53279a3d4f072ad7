"""Mends playlists that rot as tracks vanish: finds what is gone, what could take its place, and writes a report.

The workflow asks Flyte for the secret group ``tidal-creds``, key ``json``, as a file, like any workflow that talks to a
service. It comes with a small library of its own, so that it runs anywhere; put your client behind `Library`.

    pyflyte run workflow.py remedy              # here
    pyflyte run --remote workflow.py remedy     # on the cluster
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from flytekit import Secret, current_context, task, workflow
from flytekit.types.file import FlyteFile

GROUP, KEY = "tidal-creds", "json"
CREDENTIALS = Secret(group=GROUP, key=KEY, mount_requirement=Secret.MountType.FILE)


@dataclass
class Gap:
    """A track that has vanished from a playlist."""

    playlist: str
    track: str
    # Another release of it; empty if there is none.
    replacement: str


class Library(Protocol):
    """What the workflow needs from a music service."""

    def playlists(self) -> dict[str, list[str]]:
        """The tracks of each playlist, by its name."""

    def has(self, track: str) -> bool:
        """Whether the service still plays the track."""

    def others(self, track: str) -> list[str]:
        """Other releases of the track, the best first."""


class OfflineLibrary:
    """Three playlists, of which two have rotted."""

    def playlists(self) -> dict[str, list[str]]:
        """The tracks of each playlist, by its name."""
        return {
            "Sunday": ["Blue in Green (1959)", "Naima (1960)"],
            "Long drive": ["Autobahn (1974)", "Hallogallo (1972)"],
            "Rain": ["Pink Moon (1972)"],
        }

    def has(self, track: str) -> bool:
        """Whether the service still plays the track."""
        return track not in {"Naima (1960)", "Hallogallo (1972)"}

    def others(self, track: str) -> list[str]:
        """Other releases of the track, the best first."""
        return {"Naima (1960)": ["Naima (2020 remaster)"]}.get(track, [])


def open_library(credentials: dict[str, str]) -> Library:
    """The library that these credentials open.

    Raises:
        ValueError: there are none.
    """
    if not credentials:
        raise ValueError(f"the secret {GROUP}/{KEY} is empty")
    return OfflineLibrary()


@task(secret_requests=[CREDENTIALS])
def find_gaps() -> list[Gap]:
    """What is missing from the playlists."""
    library = open_library(json.loads(current_context().secrets.get(GROUP, KEY)))
    return [
        Gap(playlist, track, next(filter(library.has, library.others(track)), ""))
        for playlist, tracks in library.playlists().items()
        for track in tracks
        if not library.has(track)
    ]


@task
def write_report(gaps: list[Gap]) -> FlyteFile:
    """One line for each gap."""
    report = Path(current_context().working_directory, "report.txt")
    lines = [f"{gap.playlist}: {gap.track} -> {gap.replacement or 'nothing takes its place'}" for gap in gaps]
    report.write_text("\n".join(lines) + "\n")
    return FlyteFile(str(report))


@task
def count_mended(report: FlyteFile) -> str:
    """What the report says, in a sentence."""
    lines = Path(report.download()).read_text().splitlines()
    mended = sum("nothing takes its place" not in line for line in lines)
    return f"{mended} of {len(lines)} vanished tracks can be replaced"


@workflow
def remedy() -> str:
    """From the playlists to a sentence; the report is the output of the node ``write_report``."""
    return count_mended(report=write_report(gaps=find_gaps()))
