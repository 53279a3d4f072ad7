"""Settings of a stack whose object store is not its own."""

import json
from typing import Any

import trustme

AUTHORITY = trustme.CA().cert_pem.bytes().decode()
"""Certificate of a private authority."""
ENDPOINT = "https://s3.home.example:9000"
SECRET_KEY = "planted-secret-key-of-"
ROLE = "eks.amazonaws.com/role-arn"


def key(user: str) -> str:
    """The text of a secret setting with the key of a user."""
    return json.dumps({"accessKeyId": f"planted-access-{user}", "secretAccessKey": f"{SECRET_KEY}{user}"})


def external(*domains: str, tasks: bool = True, backup: bool = False, **more: Any) -> dict[str, Any]:
    """Settings of a stack with an external store, with a key for Flyte and for the tasks of each of the domains.

    Args:
        domains: domains of the project ``remedy``; without any, only development.
        tasks: whether the tasks have keys of their own.
        backup: whether the backup has one.
        more: further settings of the store.
    """
    domains = domains or ("development",)
    keys = {f"objectStoreKey__remedy__{domain}": key(domain) for domain in domains} if tasks else {}
    keys |= {"objectStoreKey__backup": key("backup")} if backup else {}
    described = {"endpoint": ENDPOINT, "networks": ["192.168.1.20/32"], **more}
    return {
        "domains": list(domains),
        "minio": {"mode": "external", "external": described},
        "objectStoreKey": key("flyte"),
        **keys,
    }


def iam(*domains: str, **more: Any) -> dict[str, Any]:
    """Settings of a stack that uses AWS with roles."""
    roles = {
        "flyteAnnotations": {ROLE: "arn:aws:iam::123456789012:role/flyte"},
        "taskAnnotations": {ROLE: "arn:aws:iam::123456789012:role/tasks-{project}-{domain}"},
    }
    settings = external(*domains, tasks=False, **{"endpoint": "aws", "networks": [], "auth": "iam", **roles, **more})
    return {**settings, "objectStoreKey": None}
