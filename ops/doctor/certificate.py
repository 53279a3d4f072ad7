"""The check of the webhook's certificate."""

import base64
import datetime
from collections.abc import Iterator

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from components.flyte.names import WEBHOOK_REGISTRATION, webhook_service
from ops.doctor.check import Result, ok, remark, wrong
from ops.doctor.stack import Stack
from ops.doctor.webhook import registration_of

# Time before the expiry of a certificate that is worth a remark.
_EARLY = datetime.timedelta(days=30)


def check_certificate(stack: Stack, now: datetime.datetime | None = None) -> Iterator[Result]:
    """Check that the webhook has the certificate that the API server expects, and that it does not expire soon.

    Args:
        stack: the stack.
        now: time of the check; by default the current time.
    """
    today = now or datetime.datetime.now(datetime.UTC)
    rotate = (
        f"pulumi config set --path flyte-home:generations.webhook {stack.settings.generations.webhook + 1} "
        f"--stack {stack.name} && make up STACK={stack.name}"
    )
    registration = registration_of(stack)
    if not registration:
        yield wrong(f"mutatingwebhookconfiguration/{WEBHOOK_REGISTRATION} is not registered", rotate)
        return
    bundle = base64.b64decode(registration["webhooks"][0]["clientConfig"].get("caBundle", ""))
    answer = stack.cluster.run(
        "get", "secret", _mounted(stack), f"--namespace={stack.namespace}", r"--output=jsonpath={.data.tls\.crt}"
    )
    try:
        authorities = x509.load_pem_x509_certificates(bundle)
        own = x509.load_pem_x509_certificate(base64.b64decode(answer.stdout))
    except ValueError:
        yield wrong("the webhook's certificate, or the one that the API server expects, is missing or invalid", rotate)
        return
    fine = True
    if not any(_issued(own, authority) for authority in authorities):
        fine = False
        yield wrong(
            "the webhook's certificate is not issued by the authority that the API server expects (caBundle)", rotate
        )
    service = webhook_service(stack.settings.generations.webhook)
    host = f"{service}.{stack.namespace}.svc"
    if host not in _hosts(own):
        fine = False
        yield wrong(f"the webhook's certificate is not for {host}", rotate)
    end = min(found.not_valid_after_utc for found in (own, *authorities))
    if end <= today:
        yield wrong(f"the webhook's certificate expired on {end:%Y-%m-%d}: no pod with a secret can be created", rotate)
    elif end - today < _EARLY:
        yield remark(f"the webhook's certificate expires on {end:%Y-%m-%d}", rotate)
    elif fine:
        yield ok(f"the webhook's, until {end:%Y-%m-%d}")


def _mounted(stack: Stack) -> str:
    """Return the name of the Secret with the certificate that the webhook's pods mount."""
    name = webhook_service(stack.settings.generations.webhook)
    deployment = next((found for found in stack.of("Deployment") if found["metadata"]["name"] == name), None)
    volumes = deployment["spec"]["template"]["spec"].get("volumes", []) if deployment else []
    return next((one["secret"]["secretName"] for one in volumes if one["name"] == "certificate"), "none")


def _issued(own: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        own.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _hosts(own: x509.Certificate) -> list[str]:
    try:
        names = own.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return names.value.get_values_for_type(x509.DNSName)
