"""The backup of the stack, and the place where it is kept."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from settings.quantities import Resources, Volume, default_resources
from settings.schedules import OptionalSchedule, Schedule
from settings.values import Model, PartError, check_label, has_server

TargetKind = Literal["none", "s3", "sftp", "claim"]

_S3 = re.compile(r"s3:(?P<server>https?://(?P<host>[A-Za-z0-9._-]+)(?::(?P<port>\d+))?)/(?P<path>[A-Za-z0-9._/-]+)")
_SFTP = re.compile(r"sftp://[A-Za-z0-9._-]+@(?P<host>[A-Za-z0-9._-]+)(?::(?P<port>\d+))?//(?P<path>[A-Za-z0-9._/-]+)")
_CLAIM = re.compile(r"claim:(?P<claim>[a-z0-9-]+)(?:/(?P<path>[A-Za-z0-9._/-]+))?")


def _target(value: str) -> str:
    match = _match(value)
    if value and (not match or ".." in value or not _valid(value, match)):
        raise ValueError(
            "is not a place for backups; write an S3 bucket, sftp://user@nas.home//volume1/flyte or claim:name/folder"
        )
    return value.rstrip("/")


def _match(value: str) -> "re.Match[str] | None":
    return _S3.fullmatch(value) or _SFTP.fullmatch(value) or _CLAIM.fullmatch(value)


def _valid(value: str, match: "re.Match[str]") -> bool:
    if value.startswith("claim:"):
        return bool(check_label(match["claim"]))
    return has_server(f"http://{match['host']}:{match['port'] or 80}")


def _time_zone(value: str) -> str:
    if value and not re.fullmatch(r"[A-Za-z_]+(/[A-Za-z0-9_+-]+)*", value):
        raise ValueError("is not the name of a time zone; write it like Europe/Berlin")
    return value


def _host_key(value: str) -> str:
    if not re.fullmatch(r"\S+ (ssh|ecdsa|sk)-[a-z0-9@.-]+ [A-Za-z0-9+/=]+( .*)?", value):
        raise ValueError(
            "is not a line of known_hosts; write what ssh-keyscan prints for the server, such as "
            "nas.home ssh-ed25519 AAAA..."
        )
    return value


def _certificate(value: str) -> str:
    if value and not re.fullmatch(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s-]+-----END CERTIFICATE-----\s*", value):
        raise ValueError("is not a certificate in PEM; write the text from BEGIN CERTIFICATE to END CERTIFICATE")
    return value


def _recovery_key(value: str) -> str:
    if value and not re.fullmatch(r"[0-9a-f]{64}", value):
        raise ValueError("is not the public half of a recovery key; let make backup-key write it")
    return value


class BackupKeep(Model):
    """How many sets are kept. The newest verified set is always kept, and so is every set of the last three days."""

    daily: int = Field(default=7, ge=0, le=1000)
    """Days of which the last set is kept."""
    weekly: int = Field(default=5, ge=0, le=1000)
    """Weeks of which the last set is kept."""
    monthly: int = Field(default=12, ge=0, le=1000)
    """Months of which the last set is kept."""

    def model_post_init(self, _context: object) -> None:
        if not self.daily + self.weekly + self.monthly:
            raise PartError("keeps no set; keep at least one", "daily", 7)


class BackupSettings(Model):
    """The backup of the database, the object store and Pulumi's state."""

    target: Annotated[str, AfterValidator(_target)] = ""
    """Place of the backups, on another disk: an S3 bucket, an SFTP server or a claim; empty: no backup."""
    access_key_id: str = Field(default="", pattern=r"^[!-~]{0,256}$")
    """S3: access key; the secret key belongs in the secret setting backupCredentials."""
    region: str = Field(default="", pattern=r"^[a-z0-9-]{0,64}$")
    """S3: region, if the server asks for one."""
    certificate_authority: Annotated[str, AfterValidator(_certificate)] = ""
    """S3: certificate in PEM of a private authority that signed the server's certificate."""
    known_hosts: list[Annotated[str, AfterValidator(_host_key)]] = []
    """SFTP: host keys of the server, as ssh-keyscan prints them."""
    schedule: Schedule = "17 3 * * *"
    """When a set is made, in cron's five fields."""
    check_schedule: Schedule = "47 4 * * 0"
    """When a seventh of the stored data is read back and compared with its checksums."""
    drill_schedule: OptionalSchedule = ""
    """When the newest set is restored into a throw-away pod and compared; empty: only by make drill."""
    time_zone: Annotated[str, AfterValidator(_time_zone)] = ""
    """Time zone of the schedules; empty: that of the cluster's control plane."""
    keep: BackupKeep = BackupKeep()
    """How many sets are kept."""
    prune: bool = True
    """Whether old sets are removed. Set it to false if the credentials may not delete; see docs/backup.md."""
    volume: Volume = Volume(size="30Gi")
    """Volume for the copy of the object store from which sets are made. It needs the space of both servers' data."""
    recovery_key: Annotated[str, AfterValidator(_recovery_key)] = ""
    """Public half of the recovery key; make backup-key writes it."""
    resources: Resources = default_resources("50m", "128Mi", "2", "512Mi")
    """Requests and limits of each container."""

    @property
    def kind(self) -> TargetKind:
        """Kind of the target."""
        kind = self.target.partition(":")[0]
        return kind if kind in {"s3", "sftp", "claim"} else "none"  # type: ignore[return-value]

    @property
    def host(self) -> str:
        """Host of the target; empty for a claim."""
        match = _match(self.target)
        return match["host"] if match and self.kind != "claim" else ""

    @property
    def port(self) -> int:
        """Port of the target; 0 for a claim."""
        match = _match(self.target)
        if not match or self.kind == "claim":
            return 0
        standard = 22 if self.kind == "sftp" else 443 if self.target.startswith("s3:https") else 80
        return int(match["port"] or standard)

    @property
    def claim(self) -> str:
        """Name of the claim that is the target; empty for any other."""
        match = _CLAIM.fullmatch(self.target)
        return match["claim"] if match else ""

    @property
    def repository(self) -> str:
        """The target in restic's notation; a claim is mounted at /target."""
        match = _CLAIM.fullmatch(self.target)
        return f"/target/{match['path'] or 'flyte-home'}" if match else self.target
