"""The TLS session with the broker, made anew at each connection so that a renewal counts."""

from __future__ import annotations

import ssl

from edge_agent.settings import BrokerTable


class TlsError(OSError):
    """A certificate or key of the broker's connection cannot be used."""


def context_of(broker: BrokerTable) -> ssl.SSLContext | None:
    """Return the context for a broker, None for a connection without TLS.

    Raises:
        TlsError: a file cannot be read, or is no certificate or key.
    """
    if not broker.ca:
        return None
    try:
        context = ssl.create_default_context(cafile=broker.ca)
        if broker.certificate:
            context.load_cert_chain(broker.certificate, broker.key)
    except OSError as error:
        raise TlsError(f"[broker] ca, certificate or key: {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
