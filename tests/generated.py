"""Settings of whole stacks, generated: most are valid, and many are at the edge of what is."""

import functools
from typing import Any

import hypothesis
from hypothesis import strategies as st

from ops.lib.recording import Recording
from settings import settings_from
from settings.errors import SettingsError
from settings.helm_templates import is_accepted
from tests.conftest import run, stack

SAMPLES = 8
"""Number of generated stacks that the slow layers check."""

_label = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
_subdomain = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,12}[a-z0-9])?", fullmatch=True)
# Any text, with a preference for what templates, YAML and shells treat specially.
_special = st.sampled_from(
    [
        "{{",
        "}}",
        "{{ .Release.Name }}",
        "{{`{{ x }}`}}",
        "{{{",
        "'",
        '"',
        "\\",
        "`",
        ": ",
        " #",
        "\n",
        "\t",
        "%",
        "- ",
        "ä",
    ]
)
_text = st.lists(st.text(max_size=8) | _special, max_size=6).map("".join)
# Otherwise almost every example with a template would be rejected.
_accepted_text = _text.filter(is_accepted)
_key = st.from_regex(r"([a-z]{1,5}(\.[a-z]{1,3})?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,5}[A-Za-z0-9])?", fullmatch=True)
_label_value = st.from_regex(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,9}[A-Za-z0-9])?)?", fullmatch=True)
_cpu = st.sampled_from(["1m", "0.5", "1.001", "0.0015", "2", "10000", "500M", "1e3"])
_memory = st.sampled_from(["16Mi", "20000000", "1.5Gi", "100000001.5", "1Pi", "2Pi", "1G", "512000000000m"])
_size = st.sampled_from(["100Mi", "1.5Gi", "1Pi", "10G", "1E"])
_volume = st.fixed_dictionaries({"size": _size, "storageClass": _subdomain})
_image = st.sampled_from(["mirror.home:5000/x:1", "a/b@sha256:" + "a" * 64, "x:latest", "x"])
_limits = st.fixed_dictionaries({"limits": st.fixed_dictionaries({"cpu": _cpu, "memory": _memory})})
_placement = st.fixed_dictionaries(
    {},
    optional={
        "nodeSelector": st.dictionaries(_key, _label_value, max_size=2),
        "tolerations": st.lists(st.fixed_dictionaries({"key": _key, "value": _label_value}), max_size=2),
    },
)
_egress = st.fixed_dictionaries(
    {},
    optional={
        "internet": st.booleans(),
        "flyte": st.booleans(),
        "networks": st.lists(st.sampled_from(["192.168.1.20/32", "fd00::/8", "10.0.0.0/8"]), max_size=2),
        "namespaces": st.lists(_label, max_size=2),
    },
)
_project = st.fixed_dictionaries(
    {"name": _label},
    optional={
        "description": _text,
        "taskSecrets": st.just(["tidal-creds"]),
        "existingSecrets": st.lists(_subdomain, max_size=2, unique=True),
        "serviceAccounts": st.lists(_subdomain, max_size=2, unique=True),
        "quota": st.fixed_dictionaries({"pods": st.integers(1, 10000), "enabled": st.booleans()}) | _limits,
        "podSecurity": st.fixed_dictionaries(
            {"enforce": st.sampled_from(["privileged", "baseline", "restricted"]), "reason": _text}
        ),
        "runAsUser": st.sampled_from([0, 1, 1000, 65535]),
        "egress": _egress,
        "serviceAccountToken": st.booleans(),
        "volumeTypes": st.lists(st.sampled_from(["csi", "ephemeral", "hostPath", "nfs"]), max_size=2, unique=True),
        "bucketQuota": _size,
    },
)
_ingress = st.fixed_dictionaries(
    {
        "controller": st.sampled_from(["traefik", "nginx"]),
        "hosts": st.fixed_dictionaries({"console": _subdomain, "objectStore": _subdomain}),
        "withoutLogin": st.just({"reason": "a test"}),
    },
    optional={
        "annotations": st.dictionaries(_key, _text, max_size=2),
        "className": _subdomain,
        "namespace": _label,
        "port": st.sampled_from([1, 443, 65535]),
        "tls": st.sampled_from([{"issuer": "home"}, {"secret": "a..b"}, {"secret": "wildcard"}]),
    },
)
_values = st.fixed_dictionaries(
    {},
    optional={
        "commonLabels": st.dictionaries(_key, _label_value | _text, max_size=2),
        "commonAnnotations": st.dictionaries(_key, _accepted_text, min_size=1, max_size=2),
        "deployment": st.fixed_dictionaries(
            {},
            optional={
                "podAnnotations": st.dictionaries(_key, _accepted_text, min_size=1, max_size=2),
                "podLabels": st.dictionaries(_key, _label_value, max_size=2),
                "args": st.lists(_accepted_text, max_size=2),
            },
        ),
    },
)


def settings_of_a_stack() -> st.SearchStrategy[dict[str, Any]]:
    """Settings of a stack, by key. Many of them are valid."""
    return st.fixed_dictionaries(
        {"projects": st.lists(_project, min_size=1, max_size=2), "domains": st.just(["development"])},
        optional={
            "namespace": _label,
            "namespaceTemplate": st.sampled_from(["{project}-{domain}", "x-{domain}-{project}", "{project}"]),
            "postgres": st.fixed_dictionaries(
                {"volume": st.fixed_dictionaries({"size": _size, "storageClass": _subdomain})}
            ),
            "minio": st.fixed_dictionaries({"bucketQuota": _size}),
            "flyte": st.fixed_dictionaries({"resources": _limits}),
            "placement": _placement,
            "tasks": st.fixed_dictionaries({"placement": _placement, "egress": _egress}),
            "network": st.fixed_dictionaries({"enabled": st.booleans(), "clients": st.lists(_label, max_size=2)}),
            "ingress": _ingress,
            "images": st.dictionaries(st.sampled_from(["postgres", "minio", "flyte"]), _image, max_size=2),
            "flyteValues": _values,
        },
    )


def accepted_part(generated: dict[str, Any]) -> dict[str, Any]:
    """The settings without those that are rejected even alone; empty if the rest is rejected too."""
    base = {key: generated[key] for key in ("projects", "domains")}
    kept = {key: value for key, value in generated.items() if _is_accepted({**base, key: value})}
    return kept if "projects" in kept and _is_accepted(kept) else {}


def _is_accepted(settings: dict[str, Any]) -> bool:
    try:
        settings_from(*stack(**settings))
    except SettingsError:
        return False
    return True


@functools.cache
def accepted() -> tuple[dict[str, Any], ...]:
    """Some settings that are accepted, each with other keys."""
    found: dict[frozenset[str], dict[str, Any]] = {}

    def collect(generated: dict[str, Any]) -> None:
        if len(found) == SAMPLES or not any(generated.get("flyteValues", {}).values()):
            return
        kept = accepted_part(generated)
        if len(kept) > 4 and "flyteValues" in kept:
            found.setdefault(frozenset(kept), kept)

    limits = hypothesis.settings(max_examples=500, database=None, phases=[hypothesis.Phase.generate])
    # Hypothesis draws from the constants of all loaded modules, so that no number of examples is always enough.
    for seed in range(20):
        if len(found) < SAMPLES:
            hypothesis.seed(seed)(limits(hypothesis.given(settings_of_a_stack())(collect)))()
    assert len(found) == SAMPLES
    return tuple(found.values())


def recordings() -> list[Recording]:
    """What the program registers with each of these settings."""
    return [run(**generated) for generated in accepted()]
