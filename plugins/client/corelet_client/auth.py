"""Names and passwords: of the basic scheme, in URLs, in the netrc file.

Source: RFC 7617.
"""

from __future__ import annotations

import base64
import binascii
import logging
import netrc
import os
import sys
from functools import lru_cache
from typing import Final, NamedTuple, Self

from yarl import URL

_DEFAULT_NETRC: Final = "~/_netrc" if sys.platform == "win32" else "~/.netrc"
_LOGGER: Final = logging.getLogger("corelet.client")


class _Credentials(NamedTuple):
    login: str
    password: str = ""
    encoding: str = "latin1"


class BasicAuth(_Credentials):
    """A name and a password for the basic scheme. Source: RFC 7617.

    Args:
        login: the name; a colon would end it.
        password: any text.
        encoding: how both become bytes. Servers made after 2015 expect ``utf-8``, older ones often ``latin1``.

    Raises:
        ValueError: no name, no password, or a colon in the name.
    """

    __slots__ = ()

    def __new__(cls, login: str, password: str = "", encoding: str = "latin1") -> Self:
        if login is None or password is None:
            raise ValueError("BasicAuth takes a login and a password, not None; an empty one is ''")
        if ":" in login:
            raise ValueError("the login of BasicAuth can't hold a colon, it would end there (RFC 7617 section 2)")
        return super().__new__(cls, login, password, encoding)

    def __repr__(self) -> str:
        return f"BasicAuth(login={self.login!r}, password='***', encoding={self.encoding!r})"

    @classmethod
    def decode(cls, auth_header: str, encoding: str = "latin1") -> BasicAuth:
        """Read the value of an Authorization field.

        Args:
            auth_header: such as ``Basic bG9naW46cGFzcw==``.
            encoding: how its bytes become text.

        Raises:
            ValueError: another scheme, or a malformed value; the value itself is not shown.
        """
        scheme, space, token = auth_header.strip().partition(" ")
        if scheme.lower() != "basic":
            raise ValueError(f"BasicAuth.decode() reads the basic scheme, not {scheme[:20] if space else 'none'!r}")
        try:
            decoded = base64.b64decode(token.strip().encode("ascii"), validate=True).decode(encoding)
        except (binascii.Error, UnicodeError):
            raise ValueError(f"what follows Basic is no base64 of {encoding} text") from None
        login, colon, password = decoded.partition(":")
        if not colon:
            raise ValueError("what follows Basic holds no colon between login and password")
        return cls(login, password, encoding)

    @classmethod
    def from_url(cls, url: URL, *, encoding: str = "latin1") -> BasicAuth | None:
        """Take the name and the password out of a URL; None where it has none."""
        if not isinstance(url, URL):
            raise TypeError(f"BasicAuth.from_url() takes a yarl.URL, not {type(url).__name__}")
        if url.raw_user is None and url.raw_password is None:
            return None
        return cls(url.user or "", url.password or "", encoding)

    def encode(self) -> str:
        """Make the value of an Authorization or Proxy-Authorization field.

        Raises:
            ValueError: a character that the encoding doesn't have.
        """
        return encode_basic_auth(*self)


def encode_basic_auth(login: str, password: str = "", encoding: str = "utf-8") -> str:
    """Make the value of an Authorization field of the basic scheme.

    Raises:
        ValueError: a colon in the login, or a character that the encoding doesn't have.
    """
    if ":" in login:
        raise ValueError("a login can't hold a colon, it would end there (RFC 7617 section 2)")
    try:
        token = f"{login}:{password}".encode(encoding)
    except UnicodeEncodeError:
        raise ValueError(f"login or password has characters that {encoding} hasn't: give encoding='utf-8'") from None
    return f"Basic {base64.b64encode(token).decode('ascii')}"


def check_auth(name: str, auth: BasicAuth | None) -> BasicAuth | None:
    """Give an argument back, if it is what it must be.

    Raises:
        TypeError: it is no BasicAuth; the message names the argument.
    """
    if auth is not None and not isinstance(auth, BasicAuth):
        raise TypeError(f"{name} is a BasicAuth, such as BasicAuth(login, password), not {type(auth).__name__}")
    return auth


def strip_auth_from_url(url: URL) -> tuple[URL, BasicAuth | None]:
    """Split a URL into one without name and password, and these."""
    auth = BasicAuth.from_url(url)
    return (url, None) if auth is None else (url.with_user(None), auth)


# netrc


def find_netrc_auth(host: str) -> BasicAuth | None:
    """Find the name and the password for a host in the user's netrc file.

    The file is that of the environment variable ``NETRC``, or ``~/.netrc`` (``~/_netrc`` on Windows). It is read again
    when it has changed. One that can't be read is told in the log and counts as empty. A ``default`` entry is for
    every host: ask only for hosts that the user has named, not for those that a server redirects to.

    Args:
        host: without a port.

    Raises:
        ValueError: the entry's login holds a colon.
    """
    named = os.environ.get("NETRC")
    path = named or _DEFAULT_NETRC
    try:
        changed = os.stat(os.path.expanduser(path)).st_mtime_ns
    except OSError as error:
        if named:
            _log_unreadable(path, str(error))
        return None
    entries = _read_netrc(os.path.expanduser(path), changed)
    found = entries.authenticators(host) if entries is not None else None
    if found is None:
        return None
    login, account, password = found
    return BasicAuth(login or account or "", password or "", "utf-8")


@lru_cache(maxsize=4)
def _read_netrc(path: str, changed: int) -> netrc.netrc | None:
    """Read a file in the state in which it was at some time."""
    try:
        return netrc.netrc(path)
    except (OSError, UnicodeError, netrc.NetrcParseError) as error:
        _LOGGER.warning("no password is taken from the netrc file: %s", error)
        return None


@lru_cache(maxsize=4)
def _log_unreadable(path: str, reason: str) -> None:
    """Tell it once."""
    _LOGGER.warning("no password is taken from the file that NETRC names: %s", reason)
