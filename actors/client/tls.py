"""TLS to a service: the authorities that are trusted, and what a failed handshake means."""

from __future__ import annotations

import socket
import ssl
from typing import Final

from msgspec import structs

from actors.client.unreachable import UnreachableError
from actors.settings.service_address import HttpAddress

# X509_V_ERR_CERT_NOT_YET_VALID and the like, in OpenSSL's x509_vfy.h
_NOT_YET: Final = 9
_EXPIRED: Final = 10
_WRONG_NAME: Final = {62, 64}
_NOT_TLS: Final = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE"}


def trusting(ca_file: str) -> ssl.SSLContext:
    """`ca_file`: the authorities in this PEM file alone; empty: those of the system.

    Raises: UnreachableError: it cannot be used.
    """
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except (ssl.SSLError, ValueError):
        why = "it contains no certificate in PEM"
    except OSError as error:
        why = error.strerror or str(error)
    advice = "Correct ca_file= or LINEWARDEN_CA_FILE."
    raise UnreachableError(f"the file of authorities {ca_file} cannot be used: {why}", advice)


def secured(sock: socket.socket, address: HttpAddress, context: ssl.SSLContext) -> ssl.SSLSocket:
    """TLS over this socket, which is closed if that fails.

    Raises: UnreachableError, OSError: nothing was sent.
    """
    try:
        return context.wrap_socket(sock, server_hostname=address.host)
    except ssl.SSLError as error:
        sock.close()
        raise _tls_error(error, address) from None
    except BaseException:
        sock.close()
        raise


def _tls_error(error: ssl.SSLError, address: HttpAddress) -> UnreachableError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate_error(error, address)
    if (error.reason or "") in _NOT_TLS:
        plain = structs.replace(address, secure=False)
        return UnreachableError("it does not speak TLS", f"If that is intended, give its URL as {plain}.")
    why = (error.reason or "the connection ended").lower().replace("_", " ")
    return UnreachableError(f"no TLS connection could be made ({why})")


def _certificate_error(error: ssl.SSLCertVerificationError, address: HttpAddress) -> UnreachableError:
    if error.verify_code in _WRONG_NAME:
        return UnreachableError(
            f"its certificate is not for {address.host}",
            "Nothing was sent. Give the URL with the name that its certificate has.",
        )
    if error.verify_code in (_EXPIRED, _NOT_YET):
        word = "has expired" if error.verify_code == _EXPIRED else "is not valid yet"
        text = "Nothing was sent. Renew it, or correct the clock of this machine."
        return UnreachableError(f"its certificate {word}", text)
    return UnreachableError(
        f"its certificate is not trusted ({error.verify_message})",
        "Nothing was sent. If it is signed by an authority of your own, name the file of that authority with "
        "ca_file= or LINEWARDEN_CA_FILE.",
    )
