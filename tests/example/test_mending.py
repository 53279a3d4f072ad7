"""Which tracks the example accepts as replacements, and what it reports."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from library import Library, OfflineLibrary, Playlist, Track
from mending import Gap, find_gaps, find_replacement, summary, write_report

VANISHED = Track("1", "Naima", "John Coltrane", available=False)


@dataclass
class Shelf:
    """A library that offers the same tracks for every search."""

    offers: list[Track] = field(default_factory=list)

    def playlists(self) -> list[Playlist]:
        return []

    def search(self, track: Track) -> list[Track]:
        return self.offers


def replacements(*tracks: Track, offers: list[Track]) -> Mapping[str, str]:
    """The replacements for the vanished tracks of one playlist: ids of the tracks to ids of the offers."""
    gaps = find_gaps(Playlist("Sunday", list(tracks)), Shelf(offers))
    return {gap.track.id: gap.replacement.id for gap in gaps if gap.replacement}


def test_tracks_that_still_play_are_not_gaps():
    assert find_gaps(Playlist("Sunday", [Track("1", "Naima", "John Coltrane")]), Shelf()) == []


def test_a_gap_names_its_playlist_and_position():
    playing = Track("2", "Giant Steps", "John Coltrane")

    gaps = find_gaps(Playlist("Sunday", [playing, VANISHED]), Shelf())

    assert gaps == [Gap("Sunday", 2, VANISHED, None)]


@pytest.mark.parametrize(
    "title",
    ["Naima", "NAIMA", "Naima (2020 Remaster)", "Naima - Remastered 2020", "Naima [Mono]", "Naima - Stereo Mix"],
)
def test_another_edition_of_the_song_replaces_it(title: str):
    assert replacements(VANISHED, offers=[Track("9", title, "John Coltrane")]) == {"1": "9"}


@pytest.mark.parametrize(
    ("title", "artist"),
    [
        ("Naima", "A cover band"),
        ("Naima (Live)", "John Coltrane"),
        ("Naima - Alternate Take", "John Coltrane"),
        ("Monophony", "John Coltrane"),
    ],
)
def test_a_cover_another_recording_or_another_song_does_not_replace_it(title: str, artist: str):
    assert replacements(VANISHED, offers=[Track("9", title, artist)]) == {}


def test_a_title_that_only_begins_like_an_edition_is_kept():
    edition, song = Track("1", "Mono", "A"), Track("9", "Stereo", "A")

    assert find_replacement(edition, [song]) is None


def test_the_same_recording_is_preferred_to_a_better_offer_of_the_same_title():
    vanished = Track("1", "Naima", "John Coltrane", isrc="US1", available=False)
    offers = [Track("8", "Naima", "John Coltrane", isrc="US2"), Track("9", "Naïma", "Coltrane", isrc="US1")]

    assert replacements(vanished, offers=offers) == {"1": "9"}


def test_two_tracks_without_a_recording_number_are_not_the_same_recording():
    assert replacements(VANISHED, offers=[Track("9", "Impressions", "John Coltrane")]) == {}


def test_a_vanished_offer_is_not_used():
    assert replacements(VANISHED, offers=[Track("9", "Naima", "John Coltrane", available=False)]) == {}


def test_no_playlist_gets_a_track_that_it_already_has():
    playing = Track("9", "Naima (2020 Remaster)", "John Coltrane")

    assert replacements(playing, VANISHED, offers=[playing]) == {}


def test_no_playlist_gets_a_track_twice():
    again = Track("2", "Naima", "John Coltrane", available=False)

    assert replacements(VANISHED, again, offers=[Track("9", "Naima", "John Coltrane")]) == {"1": "9"}


def test_a_spreadsheet_can_read_the_report(tmp_path: Path):
    gaps = [
        Gap("Sunday, late", 2, VANISHED, Track("9", 'Naima ("2020" Remaster)', "John Coltrane")),
        Gap("Rain", 1, VANISHED, None),
    ]

    write_report(gaps, tmp_path / "report.csv")

    assert (tmp_path / "report.csv").read_text() == (
        "playlist,position,artist,title,track_id,replacement,replacement_id\n"
        '"Sunday, late",2,John Coltrane,Naima,1,"Naima (""2020"" Remaster)",9\n'
        "Rain,1,John Coltrane,Naima,1,,\n"
    )


def test_the_summary_counts_what_can_be_replaced():
    assert summary([]) == "nothing has vanished"
    assert summary([Gap("Rain", 1, VANISHED, None)]) == "0 of 1 vanished tracks can be replaced"


def test_the_offline_library_has_every_kind_of_gap_and_always_the_same_ones():
    library: Library = OfflineLibrary({})

    gaps = [gap for playlist in library.playlists() for gap in find_gaps(playlist, library)]
    found = [(gap.track.title, gap.replacement and gap.replacement.title) for gap in gaps]

    assert found == [("Naima", "Naima (2020 Remaster)"), ("Hallogallo", "Hallogallo 72"), ("Super 16", None)]
    assert library.playlists() == OfflineLibrary({}).playlists()
