"""The recovery key: what it opens, and how a key that was typed wrong is rejected."""

import string
from dataclasses import fields

import pytest

from ops.lib.backup.recovery_key import RecoveryKey, sealed
from settings import settings_from
from settings.errors import SettingsError
from tests.conftest import stack
from tests.unit.test_backup_settings import HOST_KEY, S3, SFTP, SSH_KEY, STORE_SECRET

STATE = b'{"deployment": "planted state"}' * 100
INCOMPLETE = (
    "the recovery key is not complete; it begins with flyte-home-recovery-1- and ends where make backup-key ended it"
)
ALPHABET = string.ascii_letters + string.digits + "-_"


def new_key(backup: dict[str, object] | None = None, credentials: str = STORE_SECRET) -> RecoveryKey:
    chosen = backup or {**S3, "region": "eu-central-1"}
    return RecoveryKey.new("dev", settings_from(*stack(backup=chosen, backupCredentials=credentials)), credentials)


def rejected(text: str) -> str:
    """The message about a text that is not a recovery key."""
    with pytest.raises(SettingsError) as error:
        RecoveryKey.read(text)
    (message,) = error.value.problems
    return message


def test_a_key_opens_what_was_sealed_to_its_public_half():
    key = new_key()

    content = sealed(STATE, key.public)

    assert key.opened(content) == STATE
    assert b"planted" not in content
    # Equal content cannot be recognized as equal.
    assert sealed(STATE, key.public) != content


def test_another_key_of_the_same_stack_opens_nothing():
    content = sealed(STATE, new_key().public)

    with pytest.raises(SettingsError, match="was encrypted with another recovery key"):
        new_key().opened(content)


@pytest.mark.parametrize("place", [0, 31, 32, 40, -17, -1])
def test_sealed_content_in_which_one_bit_was_changed_is_rejected(place: int):
    key = new_key()
    content = bytearray(sealed(STATE, key.public))
    content[place] ^= 1

    with pytest.raises(SettingsError, match="or it is damaged"):
        key.opened(bytes(content))


@pytest.mark.parametrize("length", [0, 1, 31, 32, 47, 48, 1000])
def test_sealed_content_without_its_end_is_rejected(length: int):
    key = new_key()

    with pytest.raises(SettingsError, match="or it is damaged"):
        key.opened(sealed(STATE, key.public)[:length])


def test_a_key_that_is_read_again_is_the_same_and_knows_the_way_to_its_target():
    key = new_key()

    again = RecoveryKey.read(key.text)

    assert again == key
    assert (again.public, again.password) == (key.public, key.password)
    assert (again.stack, again.target, again.region) == ("dev", S3["target"], "eu-central-1")
    assert (again.access_key_id, again.credentials) == ("flyte-backup", STORE_SECRET)


def test_the_key_of_an_sftp_target_has_the_private_key_and_the_host_keys():
    again = RecoveryKey.read(new_key(SFTP, SSH_KEY).text)

    assert (again.credentials, again.known_hosts) == (SSH_KEY, [HOST_KEY])


def test_line_breaks_and_spaces_in_a_typed_key_do_not_matter():
    key = new_key()
    lines = [key.text[start : start + 60] for start in range(0, len(key.text), 60)]

    assert RecoveryKey.read("  " + " \n\t".join(lines) + "\n\n") == key


def test_a_key_in_which_any_one_character_was_mistyped_is_rejected_or_read_as_it_was():
    key = new_key()
    accepted = []

    for place, right in enumerate(key.text):
        for other in (1 + place % 63, 32):
            typed = ALPHABET[(ALPHABET.find(right) + other) % 64]
            try:
                accepted.append(RecoveryKey.read(key.text[:place] + typed + key.text[place + 1 :]))
            except SettingsError as error:
                problems = error.problems
                if problems != (INCOMPLETE,):
                    pytest.fail(f"another message: {problems}")

    # Some bits at the end belong to nothing.
    assert len(accepted) <= 8
    assert [one for one in accepted if one != key] == []


@pytest.mark.parametrize("cut", [1, 2, 3, 4, 50, 200])
def test_a_key_without_its_end_is_rejected(cut: int):
    assert rejected(new_key().text[:-cut]) == INCOMPLETE


def test_a_key_with_two_characters_exchanged_is_rejected():
    text = new_key().text
    places = [place for place in range(30, len(text) - 2) if text[place] != text[place + 1]]

    for place in places:
        assert rejected(text[:place] + text[place + 1] + text[place] + text[place + 2 :]) == INCOMPLETE


@pytest.mark.parametrize(
    "text", ["", "planted-nonsense", "flyte-home-recovery-1-", "flyte-home-recovery-1-planted", "ü"]
)
def test_something_else_is_rejected_without_quoting_it(text: str):
    assert rejected(text) == INCOMPLETE


def test_no_part_of_a_key_is_in_its_representation():
    key = new_key()

    for shown in (repr(key), str(key), f"{key}", repr([key])):
        for field in fields(key):
            value = getattr(key, field.name)
            assert not value or str(value) not in shown, field.name
        for secret in (key.text, key.password, key.public):
            assert secret not in shown


def test_the_message_about_a_key_that_does_not_fit_shows_nothing_of_it():
    key = new_key()

    with pytest.raises(SettingsError) as error:
        key.opened(b"x" * 100)

    assert not [one for one in (key.private, key.credentials, key.password) if one in str(error.value)]


def test_the_password_of_the_repository_follows_from_the_private_half_alone():
    key = new_key()
    moved = RecoveryKey(key.private, "prod", "claim:nas", "", "", "", [], "")

    assert moved.password == key.password
    assert len(key.password) == 43
    assert key.private not in key.password
    assert new_key().password != key.password
