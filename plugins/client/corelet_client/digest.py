"""The digest scheme, as a client middleware. Source: RFC 7616."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from yarl import URL

from corelet import Payload, hdrs

from .challenge import parse_challenges, parse_parameters

if TYPE_CHECKING:
    from .request import ClientHandlerType, ClientRequest
    from .response import ClientResponse

#: Name of an algorithm without ``-sess`` -> that of hashlib. SHA and SHA-512 are in no RFC, but in aiohttp's documents.
_HASHES: Final = {
    "MD5": "md5",
    "SHA": "sha1",
    "SHA-256": "sha256",
    "SHA-512": "sha512",
    "SHA-512-256": "sha512_256",
}
#: Origins whose challenges are remembered; the longest unused is asked for again.
_MAX_ORIGINS: Final = 256
#: What a count of eight hexadecimal digits can say.
_MAX_COUNT: Final = 0xFFFF_FFFF

#: What stands in an extended value as it is: attr-char of RFC 8187 section 3.2.1 that urllib would escape.
_ATTRIBUTE_CHARS: Final = "!#$&+^`|"
_UNQUOTABLE: Final = re.compile(r"[\x00-\x1f\x7f]").search


class DigestAuthMiddleware:
    """Answer challenges of the digest scheme: ``ClientSession(middlewares=[DigestAuthMiddleware("me", "secret")])``.

    Speaks MD5, SHA-256, SHA-512-256 and their ``-sess`` variants (and SHA and SHA-512, which no RFC has), with ``qop``
    ``auth``, ``auth-int`` or none, hidden names (``userhash``), and names beyond ASCII. Of several challenges the
    first that it speaks counts: servers give them in the order of their preference.

    A server that a redirect has led to, on another origin than the one that was asked, gets no answer. ``auth-int``
    reads the whole body into memory.

    Args:
        login: the name.
        password: the password.
        preemptive: send an answer with further requests to what a challenge protects, without being asked again. If
            False each request is sent, challenged, and sent again.

    Raises:
        ValueError: no login, no password, or a colon in the login.
    """

    def __init__(self, login: str, password: str, preemptive: bool = True) -> None:
        if login is None or password is None:
            raise ValueError("DigestAuthMiddleware takes a login and a password, not None")
        if ":" in login:
            raise ValueError("the login of the digest scheme can't hold a colon, it would end there")
        self._login = login
        self._password = password
        self._preemptive = preemptive
        self._sessions: OrderedDict[URL, _DigestSession] = OrderedDict()

    def __repr__(self) -> str:
        return f"DigestAuthMiddleware(login={self._login!r}, password='***', preemptive={self._preemptive!r})"

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Send a request, and send it again with an answer where it is challenged."""
        origin = request.url.origin()
        if origin != request.asked_url.origin():
            return await handler(request)
        session = self._find_session(request)
        if session is not None:
            await session.sign(request)
        response = await handler(request)
        for is_first in (True, False):
            fresh = self._answer(request, response)
            if fresh is None or not _is_worth_trying(session, fresh, is_first=is_first):
                break
            session = fresh
            await response.release()
            await session.sign(request)
            response = await handler(request)
        self._remember(origin, session, response)
        return response

    def _find_session(self, request: ClientRequest) -> _DigestSession | None:
        """Find the challenge that covers a request which nobody has challenged yet."""
        session = self._sessions.get(request.url.origin())
        if session is None or hdrs.AUTHORIZATION in request.headers or not session.covers(request):
            return None
        return session

    def _answer(self, request: ClientRequest, response: ClientResponse) -> _DigestSession | None:
        """Take up the first challenge that can be answered; None where there is none."""
        if response.status != 401 or not request.is_repeatable:
            return None
        for challenge in parse_challenges(response.headers.getall(hdrs.WWW_AUTHENTICATE, ())):
            if challenge.scheme == "digest":
                session = _DigestSession.open(challenge.parameters, self._login, self._password, request.url)
                if session is not None and session.can_sign(request):
                    return session
        return None

    def _remember(self, origin: URL, session: _DigestSession | None, response: ClientResponse) -> None:
        """Keep a challenge for further requests, unless its answer was refused."""
        if session is None or not self._preemptive:
            return
        self._sessions.pop(origin, None)
        if response.status == 401:
            return
        session.take_info(response.headers.getall("Authentication-Info", ()))
        self._sessions[origin] = session
        if len(self._sessions) > _MAX_ORIGINS:
            self._sessions.popitem(last=False)


def _is_worth_trying(used: _DigestSession | None, fresh: _DigestSession, *, is_first: bool) -> bool:
    """Whether an answer to a fresh challenge may do better than the one that was sent, if any."""
    return fresh.is_stale or (is_first and (used is None or used.nonce != fresh.nonce))


class _DigestSession:
    """A challenge that was taken up: it makes answers, each with a number of its own.

    Args:
        parameters: of the challenge.
        algorithm: a key of the table of algorithms.
        qop: ``auth``, ``auth-int``, or "" for what RFC 2069 had.
        login: the name.
        password: the password.
        url: of the request that was challenged.
    """

    def __init__(
        self, parameters: Mapping[str, str], *, algorithm: str, qop: str, login: str, password: str, url: URL
    ) -> None:
        self.nonce = parameters["nonce"]
        self.is_stale = parameters.get("stale", "").lower() == "true"
        self._parameters = parameters
        self._hash = _HASHES[algorithm]
        self._qop = qop
        self._realm = parameters["realm"]
        self._count = 0
        self._paths = _read_domain(parameters.get("domain", ""), url)
        # One for all answers: those of the -sess algorithms are bound to it (section 3.4.2).
        self._cnonce = secrets.token_hex(16)
        is_utf8 = parameters.get("charset", "").lower() == "utf-8"
        realm = _encode(self._realm, is_utf8=True)
        self._identity = self._describe_login(_encode(login, is_utf8=is_utf8), login, realm)
        self._secret = self._digest(_encode(login, is_utf8=is_utf8), realm, _encode(password, is_utf8=is_utf8))
        if parameters.get("algorithm", "").lower().endswith("-sess"):
            self._secret = self._digest(self._secret, _encode(self.nonce), self._cnonce.encode())

    @classmethod
    def open(cls, parameters: Mapping[str, str], login: str, password: str, url: URL) -> _DigestSession | None:
        """Take up a challenge; None where it lacks something, or asks for what nobody here speaks."""
        algorithm = parameters.get("algorithm", "MD5").upper().removesuffix("-SESS")
        if "nonce" not in parameters or "realm" not in parameters or not _has_hash(algorithm):
            return None
        offered = [name.strip().lower() for name in parameters.get("qop", "").split(",")]
        qop = next((name for name in ("auth", "auth-int", "") if name in offered), None)
        if qop is None:
            return None
        return cls(parameters, algorithm=algorithm, qop=qop, login=login, password=password, url=url)

    def covers(self, request: ClientRequest) -> bool:
        """Whether a request of the same origin needs an answer too. Source: section 3.3, ``domain``."""
        is_covered = not self._paths or request.url.raw_path.startswith(self._paths)
        return is_covered and self._count < _MAX_COUNT and self.can_sign(request)

    def can_sign(self, request: ClientRequest) -> bool:
        """Whether what is signed is known: a body that is compressed on its way isn't."""
        return self._qop != "auth-int" or request.compress is None

    async def sign(self, request: ClientRequest) -> None:
        """Give a request its Authorization field. Source: section 3.4."""
        self._count += 1
        count = f"{self._count:08x}"
        target = request.url.raw_path_qs
        signed = [request.method.encode(), target.encode()]
        if self._qop == "auth-int":
            signed.append(self._digest(await _read_body(request)))
        signature = self._digest(*signed)
        nonce = _encode(self.nonce)
        if self._qop:
            response = self._digest(
                self._secret, nonce, count.encode(), self._cnonce.encode(), self._qop.encode(), signature
            )
        else:
            response = self._digest(self._secret, nonce, signature)
        request.headers[hdrs.AUTHORIZATION] = self._format(target, response.decode(), count)

    def _format(self, target: str, response: str, count: str) -> str:
        parameters = self._parameters
        pieces = [
            self._identity,
            f"realm={_quote(self._realm)}",
            f"nonce={_quote(self.nonce)}",
            f"uri={_quote(target)}",
            f'response="{response}"',
        ]
        if "algorithm" in parameters:
            pieces.append(f"algorithm={parameters['algorithm']}")
        if "opaque" in parameters:
            pieces.append(f"opaque={_quote(parameters['opaque'])}")
        if self._qop:
            pieces.append(f"qop={self._qop}, nc={count}")
        if self._qop or parameters.get("algorithm", "").lower().endswith("-sess"):
            pieces.append(f'cnonce="{self._cnonce}"')
        if self._is_hidden:
            pieces.append("userhash=true")
        return f"Digest {', '.join(pieces)}"

    @property
    def _is_hidden(self) -> bool:
        return self._parameters.get("userhash", "").lower() == "true"

    def _describe_login(self, coded_login: bytes, login: str, realm: bytes) -> str:
        """Make the parameter that says who asks. Source: sections 3.4 and 3.4.4."""
        if self._is_hidden:
            return f'username="{self._digest(coded_login, realm).decode()}"'
        if login.isascii() and _UNQUOTABLE(login) is None:
            return f"username={_quote(login)}"
        return f"username*=UTF-8''{quote(login, safe=_ATTRIBUTE_CHARS)}"

    def take_info(self, values: Iterable[str]) -> None:
        """Take the next nonce, where the server gives one. Source: section 3.5."""
        for value in values:
            nonce = parse_parameters(value).get("nextnonce")
            if nonce and nonce != self.nonce:
                self.nonce = nonce
                self._count = 0

    def _digest(self, *parts: bytes) -> bytes:
        """Hash parts with colons between, to hexadecimal digits."""
        return hashlib.new(self._hash, b":".join(parts), usedforsecurity=False).hexdigest().encode()


def _has_hash(algorithm: str) -> bool:
    return _HASHES.get(algorithm) in hashlib.algorithms_available


async def _read_body(request: ClientRequest) -> bytes:
    """Read the body that will be sent; a payload that can be read only once keeps what was read."""
    body = request.body
    return await body.as_bytes() if isinstance(body, Payload) else body


def _read_domain(text: str, url: URL) -> tuple[str, ...]:
    """Read where paths begin that a challenge covers; none stand for all, and other origins never count."""
    paths = []
    for word in text.split():
        try:
            covered = url.join(URL(word))
            if covered.origin() == url.origin():
                paths.append(covered.raw_path)
        except ValueError:  # what is no URL covers nothing
            continue
    return tuple(paths)


def _encode(text: str, *, is_utf8: bool = True) -> bytes:
    """Make the bytes that are hashed; where a server doesn't say how, Latin-1 has been usual. Source: section 4."""
    if not is_utf8:
        try:
            return text.encode("latin-1")
        except UnicodeEncodeError:
            pass  # then nothing but UTF-8 is left
    return text.encode("utf-8", "surrogateescape")


def _quote(text: str) -> str:
    """Make a quoted-string. Source: RFC 9110 section 5.6.4."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
