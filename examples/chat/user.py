"""Who somebody is: a name that they chose, in a cookie that only this application can have made."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import unicodedata
from typing import Final, NamedTuple, Self

MAX_NAME: Final = 32


class User(NamedTuple):
    """A user: two may have one name, never one id."""

    id: str
    name: str

    @classmethod
    def make(cls, name: str) -> Self:
        """Make a new user.

        Raises:
            ValueError: the name is empty, longer than 32 characters, or has characters that can't be seen.
        """
        return cls(secrets.token_hex(8), clean_name(name))


def clean_name(text: str) -> str:
    """Return a name in its normal form: composed characters, single spaces."""
    name = " ".join(unicodedata.normalize("NFC", text).split())
    if not 1 <= len(name) <= MAX_NAME:
        raise ValueError(f"A name has 1 to {MAX_NAME} characters; this one has {len(name)}.")
    if not name.isprintable():
        raise ValueError("A name has characters that can be seen, and spaces.")
    return name


class Signer:
    """Turns users into text and back, which nobody else can who doesn't know the secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def sign(self, user: User) -> str:
        """Make the text of a user."""
        body = base64.urlsafe_b64encode(json.dumps(user).encode()).decode()
        return f"{body}.{self._make_signature(body)}"

    def read(self, text: str) -> User | None:
        """Read a user; None for any other text."""
        body, _, signature = text.partition(".")
        if not text.isascii():  # not ours; and what was no UTF-8 can't be encoded
            return None
        if not hmac.compare_digest(signature.encode(), self._make_signature(body).encode()):
            return None
        return User(*json.loads(base64.urlsafe_b64decode(body)))

    def _make_signature(self, body: str) -> str:
        return hmac.new(self._secret, body.encode(), hashlib.sha256).hexdigest()
