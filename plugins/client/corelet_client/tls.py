"""TLS: which context checks a server, and certificates known by their digest."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import ssl
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from .errors import ServerFingerprintMismatch

#: True: the system's certificates check the server; False: nobody does; a context; or the one certificate's digest.
SSL: TypeAlias = "ssl.SSLContext | bool | Fingerprint"

_ALPN: Final = ["http/1.1"]


class Fingerprint:
    """Accept one certificate, known by its SHA-256, and ask nobody else about it.

    Args:
        fingerprint: the 32 bytes of the digest of the certificate in DER.

    Raises:
        ValueError: the digest is of MD5 or SHA-1, which can be forged, or of an unknown length.
    """

    HASHFUNC_BY_DIGESTLEN: Final[dict[int, Callable[[bytes], Any]]] = {
        16: hashlib.md5,
        20: hashlib.sha1,
        32: hashlib.sha256,
    }

    def __init__(self, fingerprint: bytes) -> None:
        make_hash = self.HASHFUNC_BY_DIGESTLEN.get(len(fingerprint))
        if make_hash is None:
            raise ValueError(f"a fingerprint is the 32 bytes of a SHA-256, not {len(fingerprint)} bytes")
        if make_hash in {hashlib.md5, hashlib.sha1}:
            raise ValueError("md5 and sha1 can be forged: give the 32 bytes of a SHA-256")
        self._fingerprint = fingerprint

    @property
    def fingerprint(self) -> bytes:
        """The digest."""
        return self._fingerprint

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fingerprint) and other.fingerprint == self._fingerprint

    def __hash__(self) -> int:
        return hash(self._fingerprint)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._fingerprint.hex()}>"

    def check(self, transport: asyncio.BaseTransport) -> None:
        """Compare the digest with the certificate of a connection.

        Raises:
            ServerFingerprintMismatch: it is another one.
        """
        ssl_object = transport.get_extra_info("ssl_object")
        if ssl_object is None:
            return
        got = hashlib.sha256(ssl_object.getpeercert(binary_form=True) or b"").digest()
        if got != self._fingerprint:
            host, port, *_ = transport.get_extra_info("peername") or ("", 0)
            raise ServerFingerprintMismatch(self._fingerprint, got, host, port)


def check_ssl(value: Any) -> SSL:
    """Check what was given as ``ssl``; None stands for True.

    Raises:
        TypeError: it is none of what :data:`SSL` says.
    """
    if value is None:
        return True
    if isinstance(value, bool | ssl.SSLContext | Fingerprint):
        return value
    raise TypeError(f"ssl is an SSLContext, a bool or a Fingerprint, not {value!r}")


def choose_context(value: SSL) -> ssl.SSLContext:
    """Choose the context for what was given as ``ssl``."""
    if isinstance(value, ssl.SSLContext):
        return value
    return _make_context(verified=value is True)


@functools.cache
def _make_context(*, verified: bool) -> ssl.SSLContext:
    """Make a context; it takes some milliseconds, and serves the whole process."""
    context = ssl.create_default_context()
    if not verified:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(_ALPN)
    return context
