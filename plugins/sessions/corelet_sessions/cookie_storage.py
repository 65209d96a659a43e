"""Storages in the cookie itself: plain, signed or encrypted. They keep nothing on the server."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import warnings
from abc import abstractmethod
from collections.abc import Iterable
from typing import Any, Final

from .cookie import MAX_COOKIE_BYTES
from .storage import AbstractStorage

#: 256 bits, which are 43 characters of base64 without its padding.
_SIGNATURE_BYTES: Final = 32
_SIGNATURE_CHARACTERS: Final = 43
_MIN_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
#: What keys and texts are for, so that one of another use never passes for one of ours.
_PURPOSE: Final = b"corelet-session1"

Key = str | bytes


class CookieStorage(AbstractStorage):
    """Keep a record in its token. Nobody can end such a session before it expires: who has copied the cookie has it."""

    is_on_server = False

    @abstractmethod
    def seal(self, record: bytes) -> str:
        """Make a token of a record."""

    @abstractmethod
    def open(self, token: str) -> bytes | None:
        """Get the record out of a token; None where it is not one of ours."""

    async def load(self, token: str) -> bytes | None:
        return self.open(token) if len(token) <= MAX_COOKIE_BYTES and token.isascii() else None

    async def save(self, token: str | None, record: bytes, ttl: int, *, expected: bytes | None = None) -> str:
        return self.seal(record)

    async def delete(self, token: str) -> None:
        """Do nothing: there is nothing to forget."""


class SimpleCookieStorage(CookieStorage):
    """Keep sessions in the cookie as they are: anybody can read and change them. For development; it warns."""

    def __init__(self) -> None:
        warnings.warn(
            "SimpleCookieStorage lets anybody read and forge sessions: use SignedCookieStorage or "
            "EncryptedCookieStorage outside of development",
            UserWarning,
            stacklevel=2,
        )

    def seal(self, record: bytes) -> str:
        return _encode(record)

    def open(self, token: str) -> bytes | None:
        return _decode(token)


class SignedCookieStorage(CookieStorage):
    """Keep sessions in the cookie, signed: the peer can read but not change them.

    Args:
        keys: secrets of at least 32 bytes, text or bytes, such as :meth:`make_key` makes; or just one. The first one
            signs, all are tried, so that keys can be exchanged: put the new one first, and drop the old one when
            sessions signed by it have expired.

    Raises:
        ValueError: no key, or a short one.

    Source: keyed BLAKE2b by RFC 7693 section 2.9, a third of HMAC-SHA256's time here; compared in constant time.
    """

    def __init__(self, keys: Key | Iterable[Key]) -> None:
        self._keys = [_derive_key(_read_secret(key)) for key in _list_keys(keys)]

    @staticmethod
    def make_key() -> str:
        """Make a random key; keep it in a place for secrets."""
        return _encode(os.urandom(_MIN_KEY_BYTES))

    def seal(self, record: bytes) -> str:
        payload = _encode(record)
        return f"{payload}.{_sign(self._keys[0], payload)}"

    def open(self, token: str) -> bytes | None:
        payload, _, signature = token.rpartition(".")
        if len(signature) != _SIGNATURE_CHARACTERS:
            return None
        for key in self._keys:
            if hmac.compare_digest(_sign(key, payload), signature):
                return _decode(payload)
        return None


class EncryptedCookieStorage(CookieStorage):
    """Keep sessions in the cookie, encrypted: the peer can neither read nor change them. Needs ``cryptography``.

    Args:
        keys: 32 bytes each, or text that is their urlsafe base64 as :meth:`make_key` and ``Fernet.generate_key()`` make
            it; or just one. The first one encrypts, all are tried, as in :class:`SignedCookieStorage`. One key is good
            for 4 billion cookies: exchange it before.

    Raises:
        ValueError: no key, or one of another size.
        ModuleNotFoundError: cryptography is not installed.

    Source: AES-256-GCM by NIST SP 800-38D, with a random nonce.
    """

    def __init__(self, keys: Key | Iterable[Key]) -> None:
        try:
            from cryptography.exceptions import InvalidTag
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ModuleNotFoundError as exc:
            raise ModuleNotFoundError(
                "EncryptedCookieStorage needs cryptography: pip install corelet-sessions[encrypted]", name=exc.name
            ) from exc
        self._invalid: type[Exception] = InvalidTag
        self._ciphers: list[Any] = [AESGCM(_read_cipher_key(key)) for key in _list_keys(keys)]

    @staticmethod
    def make_key() -> str:
        """Make a random key; keep it in a place for secrets."""
        return base64.urlsafe_b64encode(os.urandom(32)).decode()

    def seal(self, record: bytes) -> str:
        nonce = os.urandom(_NONCE_BYTES)
        return _encode(nonce + self._ciphers[0].encrypt(nonce, record, _PURPOSE))

    def open(self, token: str) -> bytes | None:
        sealed = _decode(token)
        if sealed is None or len(sealed) < _NONCE_BYTES:
            return None
        nonce, text = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        for cipher in self._ciphers:
            try:
                record: bytes = cipher.decrypt(nonce, text, _PURPOSE)
            except self._invalid:
                continue
            return record
        return None


def _list_keys(keys: Key | Iterable[Key]) -> list[Key]:
    listed = [keys] if isinstance(keys, str | bytes) else list(keys)
    if not listed:
        raise ValueError("a storage of cookies needs one key at least; make_key() makes one")
    return listed


def _read_secret(key: Key) -> bytes:
    secret = key.encode() if isinstance(key, str) else key
    if len(secret) < _MIN_KEY_BYTES:
        raise ValueError(f"the key has {len(secret)} bytes, expected {_MIN_KEY_BYTES} at least; make_key() makes one")
    return secret


def _read_cipher_key(key: Key) -> bytes:
    secret = key.encode() if isinstance(key, str) else key
    if len(secret) != 32:
        secret = _decode(secret.decode("ascii", "replace").rstrip("=")) or b""
    if len(secret) != 32:
        raise ValueError("a key is 32 bytes, or their urlsafe base64 as text; make_key() makes one")
    return _derive_key(secret)


def _derive_key(secret: bytes) -> bytes:
    return hashlib.blake2b(secret, digest_size=32, person=_PURPOSE).digest()


def _sign(key: bytes, payload: str) -> str:
    return _encode(hashlib.blake2b(payload.encode("ascii"), key=key, digest_size=_SIGNATURE_BYTES).digest())


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _decode(text: str) -> bytes | None:
    """Decode what :func:`_encode` makes, and nothing else: one record has one token."""
    coded = text.encode("ascii", "replace").translate(_FROM_URLSAFE) + b"=" * (-len(text) % 4)
    try:
        data = binascii.a2b_base64(coded, strict_mode=True)
    except ValueError:
        return None
    # The bits of the last character that stand for nothing have to be those that _encode() makes.
    odd = len(data) % 3
    return data if not odd or text.endswith(_encode(data[-odd:])) else None


#: ``+`` and ``/`` become what base64 hasn't.
_FROM_URLSAFE: Final = bytes.maketrans(b"-_+/", b"+/??")
