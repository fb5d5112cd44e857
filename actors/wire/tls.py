"""TLS: whom to trust, the handshake, and what a certificate means that is not trusted."""

from __future__ import annotations

import errno
import functools
import socket
import ssl
from pathlib import Path
from typing import Final

from actors import log_queue
from actors.reasons import Reason, Slow, Weather
from actors.wire.attempt import Attempt, ConnectFailed

log = log_queue.logger("actors.wire")

# X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH in OpenSSL's x509_vfy.h
WRONG_NAME: Final = (62, 64)


def wrap(attempt: Attempt, sock: socket.socket, host: str, context: ssl.SSLContext) -> ssl.SSLSocket:
    """TLS over this socket, which is of no more use; the attempt owns the new one instead."""
    attempt.phase = "the TLS handshake"
    if context.verify_mode is ssl.CERT_NONE:
        text = "%s: its certificate is not checked (verify_tls = false); another server could impersonate it."
        log.warning("tls.unchecked", text, attempt.peer)
    sock.settimeout(attempt.remaining())
    wrapped = context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
    attempt.hold(wrapped)
    wrapped.settimeout(attempt.remaining())  # do_handshake counts it for all of its reads together
    try:
        wrapped.do_handshake()
    except ssl.SSLCertVerificationError as error:
        raise ConnectFailed(judge_certificate(attempt.peer, error)) from None
    return wrapped


def judge_certificate(peer: str, error: ssl.SSLCertVerificationError) -> Reason:
    if error.verify_code in WRONG_NAME:
        text = f"the certificate of {peer} is for another host"
        return Weather(text, "hostname", "Check the host in url; it may be an impostor's.")
    return Slow(f"the certificate of {peer} is not trusted ({error.verify_message})", "certificate")


def trust(ca_file: str | None, verify_tls: bool) -> ssl.SSLContext:
    """Raises ConnectFailed with Weather for a CA file that cannot be read: it may be about to be replaced."""
    if not verify_tls or ca_file is None:
        return make_context(None, 0, verify_tls)
    try:
        return make_context(ca_file, Path(ca_file).stat().st_mtime_ns, verify_tls)
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
            raise  # temporary, and no fault of the file
        why = error.strerror if isinstance(error, OSError) and error.strerror else "not PEM"
        text = f"the CA file {ca_file} cannot be used ({why})"
        raise ConnectFailed(Weather(text, "ca_file", "Check ca_file.")) from None


@functools.lru_cache(maxsize=8)
def make_context(ca_file: str | None, changed_ns: int, verify_tls: bool) -> ssl.SSLContext:  # noqa: ARG001
    """Loading the system's CAs takes 30 ms with the GIL held: not at every reconnection.

    `changed_ns` is when the file was last written: a renewed CA must be noticed.
    """
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    if not verify_tls:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
