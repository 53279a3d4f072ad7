"""Every container image of the stack: the only place where names, tags and digests are written down.

``flyte-home:images`` replaces any of them, and ``flyte-home:registries.mirror`` the registry of all others.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from settings.messages.commands import typed
from settings.messages.shown import is_harmless

# https://github.com/distribution/reference/blob/main/reference.go, without the rarer forms.
_REFERENCE = re.compile(
    r"(?P<repository>[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?::[0-9]+)?(?:/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*)*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?"
    r"(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


@dataclass(frozen=True)
class Image:
    """A container image and what it is for."""

    repository: str
    """Registry and path, without tag and digest."""
    tag: str | None
    """Tag; None: the digest alone decides."""
    digest: str | None
    """``sha256:`` and 64 digits; None where no registry has confirmed one yet, so that the tag alone decides."""
    purpose: str
    """What the stack runs it for."""

    @property
    def reference(self) -> str:
        """The reference as written in a pod spec: ``repository[:tag][@digest]``."""
        return self.repository + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    @property
    def helm(self) -> dict[str, str]:
        """The two Helm values that the chart joins with a colon, whichever parts the reference has."""
        repository, _, tag = self.reference.rpartition(":")
        if self.tag and self.digest:
            repository, tag = self.repository, f"{self.tag}@{self.digest}"
        return {"repository": repository, "tag": tag}


IMAGES: dict[str, Image] = {
    "flyte": Image(
        "cr.flyte.org/flyteorg/flyte-binary-release",
        "v1.16.8",
        None,
        "Flyte itself: admin, propeller, data catalog and console in one process",
    ),
    "propeller": Image(
        "cr.flyte.org/flyteorg/flytepropeller-release",
        "v1.16.8",
        None,
        "Flyte's webhook, which puts secrets into task pods",
    ),
    "copilot": Image(
        "cr.flyte.org/flyteorg/flytecopilot-release",
        "v1.16.8",
        None,
        "the sidecar of raw-container tasks, started by Flyte",
    ),
    "postgres": Image(
        "docker.io/library/postgres",
        "17.11",
        "sha256:d74eeac9a635390a49bc21bd49fccd973de707e2a53a76ac49b552b8712ec46f",
        "Flyte's database, its client in init containers and Jobs, and Perl's HTTP client: an image based on Debian",
    ),
    # Its tags are rebuilt every week, so that public sources agree on no digest.
    "postgresCluster": Image(
        "ghcr.io/cloudnative-pg/postgresql",
        "17.11-minimal-trixie",
        None,
        "Flyte's database in a cluster of the operator CloudNativePG",
    ),
    "minio": Image(
        "docker.io/pgsty/silo",
        "RELEASE.2026-09-16T00-00-00Z",
        "sha256:635197cb9f36d01bee221d34d1c7d7960f6a95c48b0b6c01d99cd13bdae51a46",
        "the object store: Silo, the maintained fork of MinIO",
    ),
    "mc": Image(
        "docker.io/pgsty/mc",
        "RELEASE.2026-09-16T00-00-00Z",
        "sha256:cfc83108c3abb371f8fb84d99c1fdc88f8c237e022409b0081fb7c0a3be634dd",
        "the object store's client, in the Job that creates buckets and users",
    ),
    "exporter": Image(
        "quay.io/prometheuscommunity/postgres-exporter",
        "v0.20.1",
        "sha256:ac5ec343104fae0e2d84a27bb8d69b38430a11910c5382cad85d478d2bab713e",
        "reads the metrics of the database, for Prometheus",
    ),
    "restic": Image(
        "docker.io/restic/restic",
        "0.19.1",
        "sha256:136600b6ff6843d61d355f7f71f460a166429f35de6fd11b568fece3c9a4d510",
        "encrypts and stores the backups",
    ),
}


def is_full_reference(reference: str) -> bool:
    """Whether ``reference`` names one image: without a tag or a digest it would mean ``latest``."""
    match = _REFERENCE.fullmatch(reference)
    return bool(match and (match["tag"] or match["digest"]))


def image_problems(overrides: Mapping[str, str]) -> Iterator[str]:
    """Problems of ``flyte-home:images``: unknown names, and references with neither tag nor digest."""
    for name, reference in overrides.items():
        if name not in IMAGES:
            named = typed(name) if is_harmless(name) else ".(key not shown)"
            yield f"flyte-home:images{named}: there is no such image; write one of {', '.join(IMAGES)}"
        elif not is_full_reference(reference):
            yield (
                f"flyte-home:images.{name}: is not a full image reference; "
                f"write it with a tag or a digest, such as {IMAGES[name].reference}"
            )


def mirrored(repository: str, mirror: str) -> str:
    """``repository`` with ``mirror`` in place of its registry; unchanged if there is no mirror."""
    return f"{mirror}/{repository.partition('/')[2]}" if mirror else repository


def images(overrides: Mapping[str, str], mirror: str = "") -> dict[str, Image]:
    """The images to run: the table above, with ``overrides`` (name to full reference) in place of its entries.

    A ``mirror`` replaces the registries of the others. Tags and digests stay as they are.
    """
    chosen = {name: replace(image, repository=mirrored(image.repository, mirror)) for name, image in IMAGES.items()}
    for name, reference in overrides.items():
        match = _REFERENCE.fullmatch(reference)
        if match and name in IMAGES:  # anything else is one of the image_problems
            chosen[name] = Image(match["repository"], match["tag"], match["digest"], IMAGES[name].purpose)
    return chosen
