"""A backup to a server with SFTP, and what is said if the server or its keys are wrong."""

# ruff: noqa: F811 (fixtures)

import asyncio
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest

from tests.processes import free_port
from tests.scripts.backup import Home, plant
from tests.scripts.homes import binaries, home, pristine, servers, uid  # noqa: F401 (fixtures)

USER = "backup"


class SftpServer:
    """A server on this machine that admits one key, and serves one folder as its root."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.host_key, self.client_key = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._run(self._listen())

    @property
    def target(self) -> str:
        return f"sftp://{USER}@127.0.0.1:{self.port}//flyte"

    @property
    def known_hosts(self) -> str:
        """What ssh-keyscan prints for the server."""
        return f"[127.0.0.1]:{self.port} {self.host_key.export_public_key().decode().strip()}"

    def stop(self) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self, what):
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(20)

    async def _listen(self):
        def served(channel: asyncssh.SSHServerChannel) -> asyncssh.SFTPServer:
            return asyncssh.SFTPServer(channel, chroot=str(self.folder).encode())

        return await asyncssh.listen(
            "127.0.0.1",
            self.port,
            server_host_keys=[self.host_key],
            authorized_client_keys=asyncssh.import_authorized_keys(self.client_key.export_public_key().decode()),
            sftp_factory=served,
        )

    async def _close(self) -> None:
        self._server.close()
        await self._server.wait_closed()


@pytest.fixture
def server(home: Home) -> Iterator[SftpServer]:
    if not shutil.which("ssh"):
        pytest.skip("needs ssh, which the image has: install openssh-client")
    folder = home.path / "sftp"
    folder.mkdir()
    shutil.copytree(home.repository, folder / "flyte")
    found = SftpServer(folder)
    home.with_settings(target=found.target, known_hosts=[found.known_hosts])
    (home.path / "scripts" / "known_hosts").write_text(f"{found.known_hosts}\n")
    give_key(home, found.client_key)
    yield found
    found.stop()


def give_key(home: Home, key: asyncssh.SSHKey) -> None:
    """Let the steps use this key. It is in the format of ssh-keygen, and no one else may read it, or ssh refuses it."""
    file = home.path / "access" / "credentials"
    file.write_bytes(key.export_private_key())
    file.chmod(0o400)


def complaint_of(home: Home) -> str:
    """What is said where the repository cannot be opened."""
    return replace(home.check("reach"), step="reach").complaint


def test_everything_comes_back_from_a_server_with_sftp(home: Home, server: SftpServer):
    plant(home)
    rows, content = home.rows(), home.content()
    made = home.must_backup()
    home.servers.empty_database()
    home.servers.empty_store()

    home.must_restore()

    assert home.rows() == rows
    assert home.content() == content
    assert [one["id"] for one in home.sets() if one["verified"]] == [made["id"]]


def test_a_repository_is_created_where_there_is_none(home: Home, server: SftpServer):
    shutil.rmtree(server.folder / "flyte")

    assert home.check("reach").code == 0

    assert (server.folder / "flyte" / "config").is_file()


def test_a_server_with_another_host_key_gets_nothing(home: Home, server: SftpServer):
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
    (home.path / "scripts" / "known_hosts").write_text(f"[127.0.0.1]:{server.port} {other}\n")

    complaint = complaint_of(home)

    assert complaint.startswith("flyte-home:backup.knownHosts: the server of sftp://")
    assert "ssh-keyscan" in complaint
    assert list((server.folder / "flyte" / "snapshots").iterdir()) == []


def test_a_key_that_the_server_does_not_admit_is_named(home: Home, server: SftpServer):
    give_key(home, asyncssh.generate_private_key("ssh-ed25519"))

    assert complaint_of(home).startswith("flyte-home:backupCredentials: sftp://")


def test_a_server_that_is_away_is_named(home: Home, server: SftpServer):
    home.with_settings(target=f"sftp://{USER}@127.0.0.1:{free_port()}//flyte")

    complaint = complaint_of(home)

    assert complaint.startswith("flyte-home:backup.target: sftp://")
    assert "does not answer" in complaint


def test_a_folder_that_cannot_be_written_is_named(home: Home, server: SftpServer):
    home.with_settings(target=f"sftp://{USER}@127.0.0.1:{server.port}//missing/disk/flyte")
    (server.folder / "missing").write_text("a file in the way")

    complaint = complaint_of(home)

    assert complaint.startswith("flyte-home:backup.target: the folder of sftp://")
    assert "cannot be created or written" in complaint
