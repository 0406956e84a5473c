"""TLS sessions with the two brokers."""

from __future__ import annotations

import ssl
from pathlib import Path


def context_of(authority: Path | None, certificate: Path | None) -> ssl.SSLContext | None:
    """Return the files of a TLS session as they are now, None for a broker without TLS.

    `certificate` holds our certificate and its key.

    Raises:
        OSError: one cannot be read, or is no certificate or key.
    """
    if authority is None:
        return None
    context = ssl.create_default_context(cafile=str(authority))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate is not None:
        context.load_cert_chain(str(certificate))
    return context
