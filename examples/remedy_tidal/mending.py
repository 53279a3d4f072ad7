"""Finds tracks that have vanished from playlists, and their replacements. Needs neither Flyte nor a music service."""

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from library import Library, Playlist, Track

# Additions of a release to the title of the same recording, such as "(2020 Remaster)" or " - Mono". A live version
# or an edit is another recording.
_EDITION = re.compile(r"\s*[-(\[][^-(\[]*\b(?:remaster|remastered|mono|stereo)\b.*", re.IGNORECASE)


@dataclass(frozen=True)
class Gap:
    """A track that has vanished from a playlist."""

    playlist: str
    # The first track of a playlist is 1.
    position: int
    track: Track
    replacement: Track | None


def find_gaps(playlist: Playlist, library: Library) -> list[Gap]:
    """The vanished tracks of a playlist. It is offered no track twice, and none that it already has."""
    gaps = []
    taken = {track.id for track in playlist.tracks}
    for position, track in enumerate(playlist.tracks, start=1):
        if track.available:
            continue
        replacement = find_replacement(
            track, (offer for offer in library.search(track) if offer.available and offer.id not in taken)
        )
        if replacement:
            taken.add(replacement.id)
        gaps.append(Gap(playlist.name, position, track, replacement))
    return gaps


def find_replacement(track: Track, offers: Iterable[Track]) -> Track | None:
    """The first offer with the same recording; otherwise the first one with the same title by the same artist."""
    offers = list(offers)
    same_recording = (offer for offer in offers if track.isrc and offer.isrc == track.isrc)
    same_song = (offer for offer in offers if _song(offer) == _song(track))
    return next(same_recording, None) or next(same_song, None)


def write_report(gaps: Iterable[Gap], path: Path) -> None:
    """Write a CSV file with a line for each gap; the columns of a missing replacement are empty."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["playlist", "position", "artist", "title", "track_id", "replacement", "replacement_id"])
        for gap in gaps:
            found = (gap.replacement.title, gap.replacement.id) if gap.replacement else ("", "")
            writer.writerow([gap.playlist, gap.position, gap.track.artist, gap.track.title, gap.track.id, *found])


def summary(gaps: Iterable[Gap]) -> str:
    """The gaps, summarized in a sentence."""
    gaps = list(gaps)
    if not gaps:
        return "nothing has vanished"
    return f"{sum(gap.replacement is not None for gap in gaps)} of {len(gaps)} vanished tracks can be replaced"


def _song(track: Track) -> tuple[str, str]:
    return track.artist.casefold(), _EDITION.sub("", track.title).casefold()
