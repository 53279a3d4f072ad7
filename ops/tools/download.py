"""One file from the network, or from a mirror of it: fetched, compared with its checksum, and unpacked."""

import errno
import fcntl
import hashlib
import http.client
import os
import shutil
import sys
import tarfile
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from settings.errors import SettingsError

MIRROR = "FLYTE_HOME_MIRROR"
_SILENCE_SECONDS = 60
_BLOCK_BYTES = 1 << 20
# By the number of hexadecimal digits, which is how a list of checksums shows what it has.
_ALGORITHMS = {64: "sha256", 40: "sha1"}
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True)
class Download:
    """A file, where it comes from, and how it is known to be the right one."""

    # For messages, such as `kubectl 1.35.2`.
    title: str
    url: str
    # Its name in a mirror.
    file: str
    # Where a person gets it.
    home: str
    # The pinned checksum; without one, the address of the publisher's list of them.
    sha256: str = ""
    checksums: str = ""

    def install(self, folder: Path, place: Path, environment: Mapping[str, str] = os.environ) -> Path:
        """Make ``folder`` hold the files of the archive, or the program that this is; nothing where it does already.

        What is fetched is whole or not there: it is put together in ``place``, compared, and then renamed. Runs at the
        same time wait for each other, and so does each find what another has fetched.

        Args:
            folder: in ``place``; it has the files themselves, without the folders of the archive.
            place: where everything is that is fetched.
            environment: where ``FLYTE_HOME_MIRROR`` is read, the address of a folder with all files by their names.

        Raises:
            SettingsError: it cannot be fetched or kept, or is not what it should be.
        """
        try:
            if folder.is_dir():
                return folder
            with _alone(place, self.title) as workplace:
                if not folder.is_dir():
                    self._install(folder, workplace, environment)
        except OSError as error:
            remedy = (
                "make room there" if error.errno in _NO_ROOM else f"make it writable, or install it from {self.home}"
            )
            raise SettingsError(
                f"{self.title} cannot be kept in {place}: {error.strerror or error}; {remedy}. Nothing was left there"
            ) from None
        return folder

    def _install(self, folder: Path, workplace: Path, environment: Mapping[str, str]) -> None:
        mirror = environment.get(MIRROR, "").rstrip("/")
        source = f"{mirror}/{urllib.parse.quote(self.file)}" if mirror else self.url
        expected = self.sha256 or self._published(mirror)
        fetched = workplace / Path(self.file).name
        digest = hashlib.new(_ALGORITHMS[len(expected)])
        with fetched.open("wb") as file:
            for block in self._blocks(source, told=True):
                file.write(block)
                digest.update(block)
        if digest.hexdigest() != expected:
            published = "is pinned in ops/tools/tools.yaml" if self.sha256 else f"is what {self.checksums} says"
            raise SettingsError(
                f"{self.title}: {source} has the {digest.name.upper()} {digest.hexdigest()}, but {expected} "
                f"{published}. Nothing was kept; try again, or put the right file {self.file} into a folder and set "
                f"{MIRROR}=file:///FOLDER"
            )
        content = workplace / "content"
        content.mkdir()
        if self.url.endswith(".tar.gz"):
            self._unpack(fetched, content)
        else:
            fetched.chmod(0o755)
            fetched.rename(content / self._program)
        folder.parent.mkdir(parents=True, exist_ok=True)
        content.rename(folder)

    @property
    def _program(self) -> str:
        return self.title.split()[0]

    def _unpack(self, archive: Path, folder: Path) -> None:
        # By the last part of their names only, so that no archive can write anywhere else.
        try:
            with tarfile.open(archive) as members:
                for member in members:
                    content = members.extractfile(member) if member.isreg() else None
                    if content:
                        path = folder / Path(member.name).name
                        with path.open("wb") as file:
                            shutil.copyfileobj(content, file, _BLOCK_BYTES)
                        path.chmod(0o755 if member.mode & 0o100 else 0o644)
        except (tarfile.TarError, EOFError) as error:
            raise SettingsError(f"{self.title}: {archive.name} is not an archive: {error}") from None
        if not (folder / self._program).is_file():
            raise SettingsError(f"{self.title}: {archive.name} has no program {self._program}")

    def _published(self, mirror: str) -> str:
        """The publisher's own checksum of the file."""
        list_name = self.checksums.rsplit("/", 1)[1]
        source = f"{mirror}/{urllib.parse.quote(list_name)}" if mirror else self.checksums
        wanted = self.url.rsplit("/", 1)[1]
        text = b"".join(self._blocks(source)).decode(errors="replace")
        for line in text.splitlines():
            digest, _, name = line.partition(" ")
            # As shasum writes it: a star for a binary file, and ./ where it was told so.
            if name.strip().removeprefix("*").removeprefix("./") == wanted and len(digest) in _ALGORITHMS:
                return digest.lower()
        raise SettingsError(f"{self.title}: {source} has no checksum of {wanted}; take it from {self.home}")

    def _blocks(self, source: str, told: bool = False) -> Iterator[bytes]:
        """What is at ``source``, a piece at a time, and for a person how far it is."""
        if not source.startswith(("https://", "http://", "file:///")):
            raise SettingsError(
                f"{MIRROR}: {source!r} is no address; write https://HOST/PATH, or file:///FOLDER for a folder"
            )
        try:
            with urllib.request.urlopen(source, timeout=_SILENCE_SECONDS) as response:  # noqa: S310 (checked above)
                size = int(response.headers.get("Content-Length") or 0)
                progress = _Progress(self.title, source, size) if told else None
                done = 0
                while block := response.read(_BLOCK_BYTES):
                    done += len(block)
                    if progress:
                        progress.show(done)
                    yield block
                if done < size:
                    raise http.client.IncompleteRead(b"", size - done)
        except http.client.IncompleteRead as error:
            raise self._unreachable(source, f"it broke off {error.expected} bytes before its end") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            # An HTTPError is one of these, too, and has only half of what it says in its reason.
            reason = str(error.reason if type(error) is urllib.error.URLError else error)
            raise self._unreachable(source, reason or type(error).__name__) from None

    def _unreachable(self, source: str, reason: str) -> SettingsError:
        if "CERTIFICATE_VERIFY_FAILED" in reason:
            # Python from python.org has none on macOS until that command has run.
            reason += " (on macOS run 'Install Certificates.command', or set SSL_CERT_FILE to your authorities)"
        return SettingsError(
            f"{self.title}: cannot fetch {source}: {reason}. Try again, or put the file {self.file} into a folder and "
            f"set {MIRROR}=file:///FOLDER, or install it from {self.home}. make render works without it"
        )


class _Progress:
    """Lines on standard error: on a terminal one that counts, otherwise one when it begins."""

    def __init__(self, title: str, source: str, size: int) -> None:
        self._title, self._size, self._shown = title, size, -1
        self._counts = sys.stderr.isatty() and size > 0
        of = f"{size / 1e6:.0f} MB from " if size else ""
        print(f"{title}: fetching {of}{source}", file=sys.stderr, flush=True)

    def show(self, done: int) -> None:
        percent = 100 * done // self._size if self._size else 0
        if self._counts and percent != self._shown:
            self._shown = percent
            end = "\n" if done >= self._size else ""
            print(f"\r{self._title}: {percent:3} % of {self._size / 1e6:.0f} MB", end=end, file=sys.stderr, flush=True)


@contextmanager
def _alone(place: Path, title: str) -> Iterator[Path]:
    """An empty folder in ``place`` for this run alone, which is gone afterwards; others wait until then."""
    place.mkdir(parents=True, exist_ok=True)
    with (place / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{title}: waiting for another run that fetches", file=sys.stderr, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        for left in place.glob("unfinished-*"):  # by a run that was killed
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix="unfinished-", dir=place) as workplace:
            yield Path(workplace)
