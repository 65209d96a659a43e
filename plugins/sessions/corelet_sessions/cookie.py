"""The cookie of a session: its name, and what browsers are told about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from corelet import web

from .storage import SessionTooLargeError

#: Bytes of a cookie that every browser takes: name, value and attributes together. Source: RFC 6265 section 6.1.
MAX_COOKIE_BYTES: Final = 4096
_HOST_PREFIX: Final = "__Host-"
#: More than attributes ever take beside domain and path: flags, SameSite, expires, Max-Age.
_ATTRIBUTE_BYTES: Final = 128


@dataclass(frozen=True, slots=True)
class SessionCookie:
    """Say what the cookie of sessions looks like.

    Args:
        name: default ``session``; over TLS, with path ``/`` and without a domain, ``__Host-session``, which no other
            host and nobody on the way can plant. Source: RFC 6265bis section 4.1.3.2.
        domain: the host that gets it with all below it; default this host only.
        path: where the paths begin that get it.
        secure: send it over TLS only; default where the request came over TLS, and where the name, ``samesite`` or
            ``partitioned`` need it. Behind a proxy that ends TLS set True.
        httponly: hide it from scripts.
        samesite: ``Lax`` keeps it out of requests that other sites make in the user's name, but for links; ``Strict``
            out of these too; ``None`` sends it always and needs ``secure``.
        partitioned: a jar for each top-level site; needs ``secure``.
        max_age: seconds that the browser keeps it; default None, until it ends. ``session.max_age`` has its own.

    Raises:
        ValueError: settings that browsers don't know, or refuse together, or that can't be sent.
    """

    name: str | None = None
    domain: str | None = None
    path: str = "/"
    secure: bool | None = None
    httponly: bool = True
    samesite: str | None = "Lax"
    partitioned: bool = False
    max_age: int | None = None

    def __post_init__(self) -> None:
        samesite = (self.samesite or "Lax").lower()
        if samesite not in ("lax", "strict", "none"):
            raise ValueError(f"samesite is {self.samesite!r}, expected Lax, Strict or None")
        if self.max_age is not None and self.max_age < 1:
            raise ValueError(f"max_age is {self.max_age}, expected seconds from 1, or None")
        name = (self.name or "").lower()
        needs_secure = name.startswith(("__host-", "__secure-")) or self.partitioned or samesite == "none"
        if needs_secure and self.secure is False:
            raise ValueError(
                "a cookie with the prefix __Host- or __Secure-, SameSite=None or Partitioned has to be secure"
            )
        if needs_secure:  # without it browsers drop the cookie, so the request came over TLS as far as a proxy
            object.__setattr__(self, "secure", True)
        if name.startswith("__host-") and (self.domain is not None or self.path != "/"):
            raise ValueError("a cookie with the prefix __Host- has the path / and no domain")
        # What can't be sent is said now, and not with the first session.
        web.Response().set_cookie(self.name or "session", "", domain=self.domain, path=self.path)

    def is_secure(self, request: Any) -> bool:
        """Whether the cookie is sent over TLS only, for the peer of a request."""
        return bool(request.secure) if self.secure is None else self.secure

    def find_name(self, request: Any) -> str:
        """Find the name of the cookie for the peer of a request."""
        if self.name is not None:
            return self.name
        has_prefix = self.is_secure(request) and self.domain is None and self.path == "/"
        return f"{_HOST_PREFIX}session" if has_prefix else "session"

    def set(self, request: Any, response: web.StreamResponse, token: str, max_age: int | None) -> None:
        """Give the peer the cookie.

        Raises:
            SessionTooLargeError: browsers would drop it.
        """
        name = self.find_name(request)
        size = len(name) + len(token) + len(self.domain or "") + len(self.path) + _ATTRIBUTE_BYTES
        if size > MAX_COOKIE_BYTES:
            raise SessionTooLargeError(
                f"the session's cookie would have {size:,} bytes, browsers keep {MAX_COOKIE_BYTES:,}: keep less in it, "
                f"or keep it on the server, in RedisStorage, MemcachedStorage or InMemoryStorage"
            )
        response.set_cookie(name, token, max_age=max_age, **self._find_attributes(request))

    def delete(self, request: Any, response: web.StreamResponse) -> None:
        """Have the peer forget the cookie."""
        response.del_cookie(self.find_name(request), **self._find_attributes(request))

    def _find_attributes(self, request: Any) -> dict[str, Any]:
        return {
            "domain": self.domain,
            "path": self.path,
            "secure": self.is_secure(request) or None,
            "httponly": self.httponly or None,
            "samesite": self.samesite,
            "partitioned": self.partitioned or None,
        }
