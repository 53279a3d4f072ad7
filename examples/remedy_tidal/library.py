"""Playlists, and the interface to a music service. Write a class like `OfflineLibrary` for yours."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Track:
    """A track as a music service lists it."""

    id: str
    title: str
    artist: str
    # International number of the recording, the same on all its releases. Empty if unknown: Tidal, for example, does
    # not return it for a vanished track.
    isrc: str = ""
    # Whether the service still offers the track.
    available: bool = True


@dataclass(frozen=True)
class Playlist:
    """A named list of tracks, in order."""

    name: str
    tracks: list[Track]


class Library(Protocol):
    """What the workflow needs from a music service."""

    def playlists(self) -> list[Playlist]:
        """The playlists with all their tracks, vanished ones too."""

    def search(self, track: Track) -> list[Track]:
        """What the service offers for a track, the best first; it need not fit."""


class OfflineLibrary:
    """Three playlists, two of which have lost tracks. They are always the same, and need no network."""

    def __init__(self, credentials: Mapping[str, Any]) -> None:
        pass  # a real library logs in here

    def playlists(self) -> list[Playlist]:
        """The playlists with all their tracks, vanished ones too."""
        return [
            Playlist("Sunday", [_BLUE_IN_GREEN, _NAIMA]),
            Playlist("Long drive", [_AUTOBAHN, _HALLOGALLO, _SUPER_16]),
            Playlist("Rain", [_PINK_MOON]),
        ]

    def search(self, track: Track) -> list[Track]:
        """What the service offers for a track, the best first; it need not fit."""
        return [offered for offered in _OFFERED if track.artist == offered.artist or track.title in offered.title]


_BLUE_IN_GREEN = Track("101", "Blue in Green", "Miles Davis")
_NAIMA = Track("102", "Naima", "John Coltrane", available=False)
_AUTOBAHN = Track("103", "Autobahn", "Kraftwerk")
_HALLOGALLO = Track("104", "Hallogallo", "NEU!", isrc="XX0000000104", available=False)
_SUPER_16 = Track("105", "Super 16", "NEU!", available=False)
_PINK_MOON = Track("106", "Pink Moon", "Nick Drake")
_OFFERED = [
    Track("201", "Naima", "A cover band"),
    Track("202", "Naima (Live)", "John Coltrane"),
    Track("203", "Naima (2020 Remaster)", "John Coltrane"),
    Track("204", "Hallogallo - Single Edit", "NEU!"),
    Track("205", "Hallogallo 72", "NEU!", isrc="XX0000000104"),
]
