"""Certificates of private authorities, as settings."""

from typing import Annotated

from pydantic import AfterValidator


def _certificates(value: str) -> str:
    if "PRIVATE KEY" in value:
        raise ValueError("contains a private key, which must stay where it is; write only the certificate")
    if not value:
        return value
    # Imported here, because few stacks have certificates in their settings, and the import takes long.
    from cryptography import x509

    try:
        x509.load_pem_x509_certificates(value.encode())
    except ValueError:
        raise ValueError("is not a certificate in PEM; write the content of the authority's certificate file") from None
    return value


Certificates = Annotated[str, AfterValidator(_certificates)]
"""One or more certificates in PEM, one after the other; may be empty."""
