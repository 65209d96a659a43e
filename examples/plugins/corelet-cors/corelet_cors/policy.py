"""What pages of other origins may do. Source: Fetch standard, section 3.2 (CORS protocol)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from .origin import NULL_ORIGIN, OriginTest, make_origin_test

if TYPE_CHECKING:
    from multidict import CIMultiDict

_ANY: Final = "*"
#: Source: RFC 9110 section 5.6.2.
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
#: Methods that need no leave. Source: Fetch standard, CORS-safelisted method.
_SAFELISTED_METHODS: Final = frozenset(("GET", "HEAD", "POST"))
#: Methods that browsers write in upper case, whatever a page says. Source: Fetch standard, normalize a method.
_NORMALISED_METHODS: Final = frozenset(("DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"))
#: Seconds that a browser keeps the answer to a preflight. Starlette's default.
MAX_AGE_SECONDS: Final = 600


class CorsPolicy:
    """What pages of other origins may do with the routes that it is for.

    Args:
        origins: whose pages may: ``"*"`` for all; a list of origins, as :func:`corelet_cors.origin.make_origin_test`
            reads it; or a function that says whether an origin may.
        methods: that pages may use; None for all that the route has. GET, HEAD and POST need no leave.
        headers: fields that pages may send beside those that need no leave; ``"*"`` for all.
            ``Content-Type`` belongs here where pages send JSON.
        expose_headers: fields of answers that pages may read beside those that need no leave; ``"*"`` for all.
        credentials: whether requests with cookies, or another proof of who is asking, are for pages as well.
        max_age: seconds that browsers keep the answer to a preflight; 0 to ask each time, None for their default.
        private_network: whether public pages may ask this server in a private network.

    Raises:
        ValueError: what the Fetch standard doesn't allow, or no browser would say.
        TypeError: one str where a list is expected.

    Source: Fetch standard, section 3.2; Private Network Access, section 3.
    """

    def __init__(
        self,
        origins: str | Iterable[str] | OriginTest,
        *,
        methods: Iterable[str] | None = None,
        headers: str | Iterable[str] = (),
        expose_headers: str | Iterable[str] = (),
        credentials: bool = False,
        max_age: int | None = MAX_AGE_SECONDS,
        private_network: bool = False,
    ) -> None:
        self.allows_any_origin: Final = origins == _ANY
        self.credentials: Final = credentials
        self.private_network: Final = private_network
        self._allows_origin = self._read_origins(origins)
        self._methods = None if methods is None else _read_methods(methods)
        self._allows_any_header = headers == _ANY
        self._headers = frozenset() if headers == _ANY else {name.lower() for name in _read_tokens("headers", headers)}
        self._expose_headers = (_ANY,) if expose_headers == _ANY else _read_tokens("expose_headers", expose_headers)
        self._max_age = max_age
        if credentials and self._expose_headers == (_ANY,):
            raise ValueError(
                "expose_headers is '*', which means nothing where credentials are allowed: list the fields"
            )
        if max_age is not None and max_age < 0:
            raise ValueError(f"max_age is {max_age}, expected seconds from 0, or None")

    def _read_origins(self, origins: str | Iterable[str] | OriginTest) -> OriginTest:
        if self.allows_any_origin:
            if self.credentials:
                raise ValueError(
                    "origins is '*' and credentials are allowed: any page could act for its visitor, and browsers "
                    "refuse it; list the origins"
                )
            return lambda origin: True
        if callable(origins):
            return origins
        listed = _read_strings("origins", origins)
        if self.credentials and NULL_ORIGIN in listed:
            raise ValueError("origins has 'null' and credentials are allowed: any page can get that origin by a frame")
        return make_origin_test(listed)

    def allows_origin(self, origins: Sequence[str]) -> bool:
        """Whether a request's Origin may ask; it is there once."""
        return len(origins) == 1 and self._allows_origin(origins[0])

    # Answers.

    def write_fields(self, headers: CIMultiDict[str], origins: Sequence[str]) -> None:
        """Write what lets a page read an answer.

        Args:
            headers: the answer's fields.
            origins: the values of the request's Origin.
        """
        if not self._write_origin(headers, origins):
            return
        if self._expose_headers:
            headers["Access-Control-Expose-Headers"] = ", ".join(self._expose_headers)

    def write_preflight_fields(
        self, headers: CIMultiDict[str], origins: Sequence[str], method: str, names: Sequence[str]
    ) -> None:
        """Write what lets a page send the request that :meth:`find_refusal` has nothing against."""
        self._write_origin(headers, origins)
        headers["Access-Control-Allow-Methods"] = ", ".join(self._methods or (method,))
        if names:
            headers["Access-Control-Allow-Headers"] = ", ".join(names)
        if self._max_age is not None:
            headers["Access-Control-Max-Age"] = str(self._max_age)

    def _write_origin(self, headers: CIMultiDict[str], origins: Sequence[str]) -> bool:
        """Write who may read; whether it is the one who asks."""
        if self.allows_any_origin:
            # The same for everybody, so that caches need to keep one answer.
            headers["Access-Control-Allow-Origin"] = _ANY
            return True
        _add_vary(headers, "Origin")
        if not self.allows_origin(origins):
            return False
        headers["Access-Control-Allow-Origin"] = origins[0]
        if self.credentials:
            headers["Access-Control-Allow-Credentials"] = "true"
        return True

    def find_refusal(
        self, origins: Sequence[str], method: str, names: Sequence[str], *, is_private: bool = False
    ) -> str | None:
        """Say why a page may not send a request; None where it may.

        Args:
            origins: the values of Origin.
            method: it would use.
            names: of fields that it would send.
            is_private: whether it comes from a public network into a private one.
        """
        if not self.allows_origin(origins):
            return f"pages of {', '.join(origins)!r} may not ask"
        if not _TOKEN.fullmatch(method):
            return f"{method!r} is no method"
        if self._methods is not None and method not in self._methods and method not in _SAFELISTED_METHODS:
            return f"pages may not use the method {method!r}"
        if is_private and not self.private_network:
            return "pages of public networks may not ask"
        refused = [] if self._allows_any_header else [name for name in names if name.lower() not in self._headers]
        return f"pages may not send the fields {', '.join(refused)!r}" if refused else None


def _read_strings(what: str, values: str | Iterable[str]) -> tuple[str, ...]:
    if isinstance(values, str):
        raise TypeError(f"{what} is the str {values!r}, expected a list of them: [{values!r}]")
    return tuple(values)


def _read_tokens(what: str, values: str | Iterable[str]) -> tuple[str, ...]:
    tokens = _read_strings(what, values)
    for token in tokens:
        if not _TOKEN.fullmatch(token):
            raise ValueError(f"{what} has {token!r}, which is no token")
        if token == _ANY:
            wanted = "leave methods out for all that a route has" if what == "methods" else f"{what}='*' is for all"
            raise ValueError(f"{what} has '*', which is one name in a list: {wanted}")
    return tokens


def _read_methods(methods: Iterable[str]) -> tuple[str, ...]:
    tokens = _read_tokens("methods", methods)
    for method in tokens:
        if method != method.upper() and method.upper() in _NORMALISED_METHODS:
            raise ValueError(f"methods has {method!r}, but browsers say {method.upper()!r}")
    return tokens


def split_names(values: Iterable[str]) -> list[str]:
    """Split the values of Access-Control-Request-Headers; what is no name of a field is left out."""
    names = [name.strip() for value in values for name in value.split(",")]
    return [name for name in names if _TOKEN.fullmatch(name)]


def _add_vary(headers: CIMultiDict[str], name: str) -> None:
    known = {each.strip().lower() for value in headers.getall("Vary", ()) for each in value.split(",")}
    if name.lower() not in known and "*" not in known:
        headers.add("Vary", name)
