"""Downloads a file from its publisher or from a mirror, verifies its checksum, and unpacks it."""

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
"""Variable with the address of a folder that has all files under their names in a mirror."""
_SILENCE_SECONDS = 60
_BLOCK_BYTES = 1 << 20
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True)
class Download:
    """A file to download, with its source and its pinned checksum."""

    title: str
    """Name and version of the program, such as ``kubectl 1.35.2``."""
    url: str
    """Address at the publisher."""
    file: str
    """Name of the file in a mirror."""
    home: str
    """Page with the publisher's instructions for an installation by hand."""
    sha256: str
    """SHA-256 of the file."""

    def install(self, folder: Path, place: Path, environment: Mapping[str, str] = os.environ) -> Path:
        """Put the program, or the files of its archive, into ``folder``; do nothing if the folder exists.

        The folder is complete or does not exist: the files are downloaded to ``place``, verified, and then renamed.
        Concurrent runs wait for each other, so that each file is downloaded only once.

        Args:
            folder: target below ``place``; it gets the files themselves, without the folders of the archive.
            place: folder of all downloads.
            environment: environment in which ``FLYTE_HOME_MIRROR`` may be set.

        Returns:
            ``folder``.

        Raises:
            SettingsError: the file cannot be downloaded or stored, or its checksum is wrong.
        """
        try:
            if folder.is_dir():
                return folder
            with alone(place, self.title) as workplace:
                if not folder.is_dir():
                    self._install(folder, workplace, environment)
        except OSError as error:
            full = error.errno in _NO_ROOM
            remedy = "free some space there" if full else f"make it writable, or install it from {self.home}"
            raise SettingsError(
                f"{self.title} cannot be stored in {place}: {error.strerror or error}; {remedy}. No file was left there"
            ) from None
        return folder

    def _install(self, folder: Path, workplace: Path, environment: Mapping[str, str]) -> None:
        mirror = environment.get(MIRROR, "").rstrip("/")
        if mirror and not mirror.startswith(("https://", "file:///")):
            # The checksums protect the content; without TLS, anyone in between could still read and block requests.
            raise SettingsError(
                f"{MIRROR}: {mirror!r} is neither encrypted nor a local folder; use https://HOST/PATH, or "
                "file:///FOLDER for a folder"
            )
        source = f"{mirror}/{urllib.parse.quote(self.file)}" if mirror else self.url
        fetched = workplace / Path(self.file).name
        digest = hashlib.sha256()
        with fetched.open("wb") as file:
            for block in self._blocks(source):
                file.write(block)
                digest.update(block)
        if digest.hexdigest() != self.sha256:
            raise SettingsError(
                f"{self.title}: {source} has the SHA256 {digest.hexdigest()}, but {self.sha256} is pinned in "
                f"ops/tools/tools.yaml. The file was removed; try again, or put the right file {self.file} into a "
                f"folder and set {MIRROR}=file:///FOLDER"
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
        # Only the last part of each name is used, so that no archive can write outside the folder.
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

    def _blocks(self, source: str) -> Iterator[bytes]:
        """Yield the content of ``source`` block by block, and report the progress."""
        try:
            with urllib.request.urlopen(source, timeout=_SILENCE_SECONDS) as response:  # noqa: S310 (checked or pinned)
                size = int(response.headers.get("Content-Length") or 0)
                progress = _Progress(self.title, source, size)
                done = 0
                while block := response.read(_BLOCK_BYTES):
                    done += len(block)
                    progress.show(done)
                    yield block
                if done < size:
                    raise http.client.IncompleteRead(b"", size - done)
        except http.client.IncompleteRead as error:
            raise self._unreachable(source, f"the transfer ended {error.expected} bytes too early") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            # Not for its subclass HTTPError, whose reason lacks the status code.
            reason = str(error.reason if type(error) is urllib.error.URLError else error)
            raise self._unreachable(source, reason or type(error).__name__) from None

    def _unreachable(self, source: str, reason: str) -> SettingsError:
        if "CERTIFICATE_VERIFY_FAILED" in reason:
            # On macOS, Python from python.org has no authorities until this command has run.
            reason += " (on macOS run 'Install Certificates.command', or set SSL_CERT_FILE to your authorities)"
        return SettingsError(
            f"{self.title}: cannot download {source}: {reason}. Try again, or put the file {self.file} into a folder "
            f"and set {MIRROR}=file:///FOLDER, or install it from {self.home}. make render works without it"
        )


class _Progress:
    """Progress on standard error: a percentage on a terminal, otherwise one line at the beginning."""

    def __init__(self, title: str, source: str, size: int) -> None:
        self._title, self._size, self._shown = title, size, -1
        self._counts = sys.stderr.isatty() and size > 0
        of = f"{size / 1e6:.0f} MB from " if size else ""
        print(f"{title}: downloading {of}{source}", file=sys.stderr, flush=True)

    def show(self, done: int) -> None:
        percent = 100 * done // self._size if self._size else 0
        if self._counts and percent != self._shown:
            self._shown = percent
            end = "\n" if done >= self._size else ""
            print(f"\r{self._title}: {percent:3} % of {self._size / 1e6:.0f} MB", end=end, file=sys.stderr, flush=True)


@contextmanager
def alone(place: Path, title: str) -> Iterator[Path]:
    """Create an empty folder in ``place`` for this run, and remove it afterwards; other runs wait until then."""
    place.mkdir(parents=True, exist_ok=True)
    with (place / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{title}: waiting for another run that downloads", file=sys.stderr, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        for left in place.glob("unfinished-*"):  # left behind by a killed run
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix="unfinished-", dir=place) as workplace:
            yield Path(workplace)
