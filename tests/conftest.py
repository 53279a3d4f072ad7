"""Configurations and recordings shared by all layers."""

import base64
import functools
import gc
import io
import json
import os
import pickle
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import hypothesis
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from ops.lib.recorder import record
from ops.lib.recording import Recording
from tests.api_server import ApiServer, api_server

# A slow or busy machine must not fail a test. In CI the examples are always the same, as in Hypothesis' own profile, so
# that a change does not fail because of an unrelated finding.
hypothesis.settings.register_profile(
    "flyte-home",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.filter_too_much],
)
hypothesis.settings.load_profile("flyte-home")

# Pydantic looks for plugins in every installed package, in each process that a test starts. There are none.
os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"

UID = "1f0c7a8e-0000-4000-8000-000000000001"
TIDAL = '{"token": "planted-tidal-token"}'
SECRET_SETTINGS = {
    "tidalCreds",
    "postgresPassword",
    "postgresArchiveKey",
    "oidcClientSecret",
    "backupCredentials",
    "objectStoreKey",
    "smtpPassword",
    "registryPassword",
}


def stack(**settings: Any) -> tuple[dict[str, str], set[str]]:
    """A valid configuration and its secret keys. Each keyword replaces a setting; None removes it.

    ``context`` stands for kubernetes:context, and ``__`` in a name for ``-``.
    """
    values: dict[str, Any] = {
        "context": "home",
        "clusterUid": UID,
        "projects": [{"name": "remedy", "taskSecrets": ["tidal-creds"]}],
        "tidalCreds": TIDAL,
        **settings,
    }
    config, secrets = {}, set()
    for name, value in values.items():
        if value is None:
            continue
        name = name.replace("__", "-")
        key = "kubernetes:context" if name == "context" else f"flyte-home:{name}"
        config[key] = value if isinstance(value, str) else json.dumps(value)
        if name.split("-")[0] in SECRET_SETTINGS or name.endswith("Creds"):
            secrets.add(key)
    return config, secrets


def run(stack_name: str = "dev", **settings: Any) -> Recording:
    """What the whole program registers with these settings.

    Tests with the same settings share one run of the program. To see a change that a test makes in the program itself,
    call ``record(*stack())``.
    """
    config, secrets = stack(**settings)
    recorded: Recording = pickle.loads(_recorded(tuple(config.items()), frozenset(secrets), stack_name))  # noqa: S301
    return recorded


@functools.cache
def _recorded(config: tuple[tuple[str, str], ...], secrets: frozenset[str], stack_name: str) -> bytes:
    """A recording, pickled so that each test gets its own copy."""
    return pickle.dumps(record(dict(config), secrets, stack_name))


# Groups of tests that share something slow to start and so run in one process; each with the prefixes of its tests.
_TOGETHER = {
    "apiserver": ("tests/apiserver/test_manifests.py", "tests/apiserver/test_rights.py"),
    "rendered secrets": ("tests/apiserver/test_rendered_secrets.py",),
    "task pods": ("tests/apiserver/test_task_pods.py",),
    # A cluster can have only one Flyte.
    "cluster": (
        "tests/engine/test_broken_stack.py",
        "tests/engine/test_cnpg_stack.py",
        "tests/engine/test_external_store_stack.py",
        "tests/engine/test_lifecycle.py",
        "tests/engine/test_monitored_stack.py",
        "tests/engine/test_recovery.py",
    ),
    "github": ("tests/engine/test_github_job.py",),
    "reports": ("tests/engine/test_ci_engine.py",),
    "previews": ("tests/engine/test_preview.py",),
    "store": ("tests/scripts/test_minio_isolation.py",),
    "scale": ("tests/unit/test_scale.py",),
}


def pytest_collection_finish() -> None:
    """Keep the garbage collector away from the imported modules, which live until the end."""
    gc.collect()
    gc.freeze()


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Give each test to the next free process, but all tests of a group to the same one."""

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return next((group for group, names in _TOGETHER.items() if nodeid.startswith(names)), nodeid)

    return Scheduling(config, log)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Report what ran in each layer, so that a skipped layer is not mistaken for a passed one."""
    layers: dict[str, Counter[str]] = {}
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            layer = report.nodeid.removeprefix("tests/").split("/")[0]
            layers.setdefault(layer, Counter())[outcome] += 1
    terminalreporter.section("layers")
    for layer, counts in sorted(layers.items()):
        ran = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
        note = "" if counts["skipped"] == 0 else "  <- not all of it ran; the reasons are below"
        terminalreporter.write_line(f"{layer:<10} {ran}{note}")


@pytest.fixture(scope="session")
def dev() -> Recording:
    """The recording of the program with the smallest valid configuration."""
    return run()


@pytest.fixture(scope="session")
def prod() -> Recording:
    """The recording of the program with protected resources and kept volumes."""
    return run("prod", protect=True, keepVolumes=True)


def store_policies(recording: Recording) -> dict[str, list[dict[str, Any]]]:
    """The policies of each user of the object store, as the store imports them."""
    policies: dict[str, Any] = {}
    users: dict[str, Any] = {}
    for found in recording.of("ConfigMap"):
        for name, content in (found.plain.get("binaryData") or {}).items():
            if name.startswith("access-"):
                with zipfile.ZipFile(io.BytesIO(base64.b64decode(content))) as archive:
                    policies |= json.loads(archive.read("iam-assets/policies.json"))
                    users |= json.loads(archive.read("iam-assets/user_mappings.json"))
    return {user: [policies[name] for name in mapping["policy"].split(",")] for user, mapping in users.items()}


def containers(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All containers of a workload's pods."""
    pod = manifest["spec"]["template"]["spec"]
    return [*pod.get("initContainers", []), *pod["containers"]]


@pytest.fixture(scope="session")
def api() -> Iterator[ApiServer]:
    """A real API server shared by all tests of a run. A test must not depend on what another one has left there."""
    with api_server() as started:
        yield started


@pytest.fixture
def fresh_api() -> Iterator[ApiServer]:
    """A separate API server for a test that changes what other tests would see."""
    with api_server() as started:
        yield started
