"""The cookies of a session: kept by who has set them, given to those who may have them.

A cookie is known by its domain, its path, its name, and by whether only the very host gets it. So a subdomain
that sets a cookie for the whole domain never replaces one that the domain keeps for itself.
"""

from __future__ import annotations

import math
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from http.cookies import BaseCookie, Morsel, SimpleCookie
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from yarl import URL

from corelet.abc import AbstractCookieJar

from .cookie import Cookie, LooseCookies, parse_set_cookie, read_cookies
from .cookie_scope import (
    canonicalise_domain,
    is_address,
    is_likely_public_suffix,
    list_suffixes,
    make_default_path,
    path_matches,
)
from .kept_cookie import CookieKey, KeptCookie, dump_cookies, load_cookies

if TYPE_CHECKING:
    import asyncio

#: Cookies of one jar. RFC 6265 section 6.1 asks for at least 3,000; the least used go first.
MAX_COOKIES: Final = 3000
#: Cookies of one domain. RFC 6265 section 6.1 asks for at least 50; Chrome and Firefox keep 180.
MAX_COOKIES_PER_DOMAIN: Final = 180
#: Bytes of the Cookie field that servers' cookies make: with its name what servers take as one field, 8,190.
MAX_HEADER_BYTES: Final = 8182

_SECURE_SCHEMES: Final = frozenset({"https", "wss"})
_NO_URL: Final = URL()
#: As much of a full jar or domain goes at once, so that no cookie of many costs a look at all others.
_EVICTED_SHARE: Final = 6
#: URLs whose cookies are remembered between changes.
_MAX_REMEMBERED: Final = 256


class _Site(NamedTuple):
    """What the jar asks a URL for."""

    host: str
    path: str
    is_secure: bool

    @property
    def is_address(self) -> bool:
        return is_address(self.host)


class CookieJar(AbstractCookieJar):
    """Keep the cookies of a session. Not safe for use in several threads.

    A value goes back to its server byte for byte. Of several cookies with one name that a URL may have, it gets the
    one with the narrowest scope: of the host itself before its domains', then of the longest path.

    What servers set is limited: a name with its value to 4,096 bytes, all that one request sends to
    :data:`MAX_HEADER_BYTES` (longer paths and older cookies first), and the number of cookies.

    A response without TLS can't replace a cookie that was set with ``Secure``; the prefixes ``__Secure-`` and
    ``__Host-`` are minded.

    Args:
        unsafe: take cookies from hosts that are IP addresses, and send them back to just that address.
        quote_cookie: quote values that :meth:`update_cookies` gets as text, as ``http.cookies`` does, where they hold
            more than RFC 6265 allows. If False they are sent as they stand.
        treat_as_secure_origin: origins, such as ``http://localhost:8080``, that get secure cookies without TLS.
        loop: taken for compatibility.
        max_cookies: how many cookies the jar holds; the longest unused go first.
        max_cookies_per_domain: how many of these one domain may hold.
        is_public_suffix: whether a domain belongs to no single owner, so that none of its hosts may set a cookie for
            all of it. The default goes by the form of the name; for the whole list give
            ``publicsuffixlist.PublicSuffixList().is_public``, of a package of that name.

    Source: RFC 6265 section 5; prefixes, and what a response without TLS may not do, from the draft that follows it.
    """

    def __init__(
        self,
        *,
        unsafe: bool = False,
        quote_cookie: bool = True,
        treat_as_secure_origin: str | URL | Iterable[str | URL] | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
        max_cookies: int = MAX_COOKIES,
        max_cookies_per_domain: int = MAX_COOKIES_PER_DOMAIN,
        is_public_suffix: Callable[[str], bool] = is_likely_public_suffix,
    ) -> None:
        self._unsafe = unsafe
        self._quote_cookie = quote_cookie
        self._treat_as_secure_origin = _read_origins(treat_as_secure_origin)
        self._max_cookies = max_cookies
        self._max_cookies_per_domain = max_cookies_per_domain
        self._is_public_suffix = is_public_suffix
        # Domain -> cookies. The domain "" is that of cookies that every host gets.
        self._domains: dict[str, dict[CookieKey, KeptCookie]] = {}
        self._count = 0
        self._next_expiry = math.inf
        self._turn = 0
        # What was sent where since the jar last changed.
        self._chosen: dict[_Site, list[KeptCookie]] = {}

    # What is in it.

    def __len__(self) -> int:
        """Count the cookies."""
        self._drop_expired()
        return self._count

    def __iter__(self) -> Iterator[Morsel[str]]:
        """Give each cookie with its attributes; ``domain`` and ``path`` say for whom it is."""
        self._drop_expired()
        return iter([kept.make_morsel() for kept in self._walk()])

    @property
    def cookies(self) -> Mapping[tuple[str, str], SimpleCookie]:
        """Read only: (domain, path) -> name -> cookie. The domain is "" for cookies that every host gets."""
        self._drop_expired()
        found: dict[tuple[str, str], SimpleCookie] = {}
        for kept in sorted(self._walk(), key=lambda kept: kept.is_host_only):
            cookies = found.setdefault((kept.domain, kept.path), SimpleCookie())
            dict.__setitem__(cookies, kept.cookie.name, kept.make_morsel())
        return MappingProxyType(found)

    @property
    def host_only_cookies(self) -> frozenset[tuple[str, str, str]]:
        """The (domain, path, name) of cookies that only the very host gets that has set them."""
        self._drop_expired()
        return frozenset((kept.domain, kept.path, kept.cookie.name) for kept in self._walk() if kept.is_host_only)

    @property
    def unsafe(self) -> bool:
        """Whether cookies from IP addresses are taken."""
        return self._unsafe

    @property
    def quote_cookie(self) -> bool:
        """Whether values with special characters are quoted."""
        return self._quote_cookie

    @property
    def treat_as_secure_origin(self) -> frozenset[URL]:
        """The origins without TLS that get secure cookies as well."""
        return self._treat_as_secure_origin

    def _walk(self) -> Iterator[KeptCookie]:
        for kept_here in self._domains.values():
            yield from kept_here.values()

    # Sending.

    def filter_cookies(self, request_url: URL = _NO_URL) -> BaseCookie[str]:
        """Find the cookies for a request.

        Args:
            request_url: where it goes; an empty URL gets the cookies for every host.

        Returns:
            Bare cookies in the order in which they are sent: longer paths first, then older ones. Their
            ``coded_value`` is what is sent. They are not to be changed: later calls give the same ones.

        Source: RFC 6265 section 5.4.
        """
        filtered: SimpleCookie = SimpleCookie()
        self._drop_expired()
        if not self._count:
            return filtered
        site = self._look_at(request_url)
        chosen = self._chosen.get(site)
        if chosen is None:
            chosen = self._choose(site)
        self._turn += 1
        for kept in chosen:
            kept.used = self._turn
            dict.__setitem__(filtered, kept.cookie.name, kept.bare_morsel)
        return filtered

    def _choose(self, site: _Site) -> list[KeptCookie]:
        """Find the cookies to send, and remember them until the jar changes."""
        chosen = []
        room = MAX_HEADER_BYTES
        for kept in self._find(site):
            # What the application gave for every host is its own affair.
            if not kept.domain or kept.size <= room:
                room -= kept.size + len("; ")
                chosen.append(kept)
        if len(self._chosen) >= _MAX_REMEMBERED:
            self._chosen.clear()
        self._chosen[site] = chosen
        return chosen

    def _find(self, site: _Site) -> list[KeptCookie]:
        """Find one cookie of each name, in the order in which they are sent."""
        found: dict[str, KeptCookie] = {}
        for domain in self._list_domains(site):
            # From wide to narrow, and of one domain the host's own come last: what comes later counts.
            matching = [
                kept
                for kept in self._domains[domain].values()
                if (site.is_secure or not kept.is_secure)
                and (not kept.is_host_only or domain == site.host)
                and path_matches(site.path, kept.path)
            ]
            if len(matching) > 1:
                matching.sort(key=lambda kept: (kept.is_host_only, len(kept.path)))
            for kept in matching:
                found[kept.cookie.name] = kept
        return sorted(found.values(), key=lambda kept: (-len(kept.path), kept.created))

    def _list_domains(self, site: _Site) -> list[str]:
        """List the domains with cookies that a host is in, the widest first."""
        if not site.host or (site.is_address and not self._unsafe):
            names = [""]
        elif site.is_address:
            names = ["", site.host]
        else:
            names = ["", *list_suffixes(site.host)]
        return [name for name in names if name in self._domains]

    def _look_at(self, url: URL | str) -> _Site:
        if isinstance(url, str):
            url = URL(url)
        host = (url.raw_host or "").lower()
        is_secure = url.scheme in _SECURE_SCHEMES
        if not is_secure and host and self._treat_as_secure_origin:
            is_secure = _make_origin(url) in self._treat_as_secure_origin
        return _Site(host, url.raw_path or "/", is_secure)

    # Taking.

    def update_cookies(self, cookies: LooseCookies, response_url: URL = _NO_URL) -> None:
        """Take cookies: a mapping of names to values or Morsels, pairs, or a ``SimpleCookie``.

        A cookie whose domain or name ``response_url`` may not set is ignored.

        Args:
            cookies: the cookies; attributes of Morsels count.
            response_url: who sets them. An empty URL stands for the application itself: a cookie without a domain is
                sent to every host then.

        Raises:
            ValueError: a name or a value that can't be sent as one cookie; nothing is taken then.
        """
        site = self._look_at(response_url)
        for cookie in list(read_cookies(cookies, quote=self._quote_cookie)):
            self._take(cookie, site)

    def update_cookies_from_headers(self, headers: Sequence[str], response_url: URL) -> None:
        """Take the values of Set-Cookie fields. What sets nothing, or may not be set by that URL, is ignored.

        Source: RFC 6265 sections 5.2 and 5.3.
        """
        site = self._look_at(response_url)
        for line in headers:
            cookie = parse_set_cookie(line)
            if cookie is not None:
                self._take(cookie, site)

    def _take(self, cookie: Cookie, site: _Site) -> None:
        if site.is_address and not self._unsafe:
            return
        scope = self._find_scope(cookie.attributes.get("domain", ""), site)
        if scope is None:
            return
        domain, is_host_only = scope
        path = cookie.attributes.get("path", "")
        if not path.startswith("/"):
            path = make_default_path(site.path)
        now = time.time()
        expires = cookie.find_expiry(now)
        is_secure = "secure" in cookie.attributes
        kept = KeptCookie(
            cookie, domain, path, is_host_only, is_secure, math.inf if expires is None else expires, cookie.size
        )
        if site.host and not (_keeps_prefix(kept, site) and self._may_replace(kept, site)):
            return
        replaced = self._take_replaced(kept, site)
        if kept.expires > now:
            self._keep(kept, replaced)

    def _find_scope(self, attribute: str, site: _Site) -> tuple[str, bool] | None:
        """Find the domain of a cookie, and whether it is the very host's; None where the host may not set it.

        Source: RFC 6265 section 5.3, steps 4 to 6.
        """
        if not attribute:
            return site.host, bool(site.host)
        domain = canonicalise_domain(attribute)
        if domain is None:
            return None
        if not site.host:
            return domain, is_address(domain)
        if domain == site.host:
            return domain, site.is_address or self._is_public_suffix(domain)
        if site.is_address or not site.host.endswith(f".{domain}") or self._is_public_suffix(domain):
            return None
        return domain, False

    def _may_replace(self, new: KeptCookie, site: _Site) -> bool:
        """Whether no secure cookie would be replaced or hidden by one that came without TLS.

        Source: the draft that follows RFC 6265, section 5.7, step 17.
        """
        if site.is_secure:
            return True
        return not any(
            kept.is_secure and kept.cookie.name == new.cookie.name and path_matches(new.path, kept.path)
            for domain in list_suffixes(new.domain)
            for kept in self._domains.get(domain, {}).values()
        )

    def _take_replaced(self, new: KeptCookie, site: _Site) -> KeptCookie | None:
        """Take out the cookie that a new one replaces. Source: RFC 6265 section 5.3, step 11.

        A subdomain replaces only what all of the domain gets; the host itself, and the application, its own as well.
        """
        replaced = self._remove(new.domain, new.key)
        if site.host in ("", new.domain):
            name, path, is_host_only = new.key
            replaced = self._remove(new.domain, (name, path, not is_host_only)) or replaced
        return replaced

    def _keep(self, kept: KeptCookie, replaced: KeptCookie | None = None) -> None:
        self._turn += 1
        kept.used = self._turn
        kept.created = self._turn if replaced is None else replaced.created
        kept_here = self._domains.setdefault(kept.domain, {})
        kept_here[kept.key] = kept
        self._count += 1
        self._chosen.clear()
        self._next_expiry = min(self._next_expiry, kept.expires)
        if kept.domain and len(kept_here) > self._max_cookies_per_domain:
            self._evict(kept_here.values(), self._max_cookies_per_domain)
        if self._count > self._max_cookies:
            self._evict((kept for kept in self._walk() if kept.domain), self._max_cookies)

    def _evict(self, candidates: Iterable[KeptCookie], limit: int) -> None:
        """Drop the longest unused, those that came without ``Secure`` before the others."""
        ordered = sorted(candidates, key=lambda kept: (kept.is_secure, kept.used))
        for kept in ordered[: 1 + limit // _EVICTED_SHARE]:
            self._remove(kept.domain, kept.key)

    # Dropping.

    def clear(self, predicate: Callable[[Morsel[str]], bool] | None = None) -> None:
        """Drop every cookie, or those for which the predicate is true."""
        if predicate is None:
            self._domains.clear()
            self._chosen.clear()
            self._count = 0
            self._next_expiry = math.inf
            return
        for kept in list(self._walk()):
            if predicate(kept.make_morsel()):
                self._remove(kept.domain, kept.key)

    def clear_domain(self, domain: str) -> None:
        """Drop the cookies of a domain and of the domains below it."""
        name = canonicalise_domain(domain) or domain
        for kept in list(self._walk()):
            if kept.domain == name or kept.domain.endswith(f".{name}"):
                self._remove(kept.domain, kept.key)

    def _remove(self, domain: str, key: CookieKey) -> KeptCookie | None:
        """Take a cookie out, if it is there."""
        kept_here = self._domains.get(domain, {})
        kept = kept_here.pop(key, None)
        if kept is None:
            return None
        self._count -= 1
        self._chosen.clear()
        if not kept_here:
            del self._domains[domain]
        return kept

    def _drop_expired(self) -> None:
        if self._next_expiry == math.inf or (now := time.time()) < self._next_expiry:
            return
        for kept in [kept for kept in self._walk() if kept.expires <= now]:
            self._remove(kept.domain, kept.key)
        self._next_expiry = min((kept.expires for kept in self._walk()), default=math.inf)

    # Files.

    def save(self, file_path: str | os.PathLike[str]) -> None:
        """Write the cookies to a file that only this user can read, those of the session too. Blocks for the disk.

        The file is JSON and is replaced as a whole, so a reader or a crash never meets half of it.

        Args:
            file_path: where; the folder must exist.

        Raises:
            OSError: the folder can't be written to.
        """
        self._drop_expired()
        in_order = sorted(self._walk(), key=lambda kept: kept.created)
        content = dump_cookies(in_order)
        target = os.path.realpath(file_path)
        # A temporary file is made for its owner alone: mode 0600.
        descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(target), prefix=".cookies-")
        try:
            with open(descriptor, "wb") as file:
                file.write(content)
            os.replace(temporary, target)
        except BaseException:
            os.unlink(temporary)
            raise

    def load(self, file_path: str | os.PathLike[str]) -> None:
        """Take the cookies of a file that :meth:`save` has written, in place of all that are here. Blocks for the disk.

        Raises:
            OSError: the file can't be read.
            ValueError: it is no file of cookies; the jar stays as it was.
        """
        with open(file_path, "rb") as file:
            content = file.read()
        try:
            loaded = load_cookies(content)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{os.fspath(file_path)} is no file that CookieJar.save() has written: {error}") from error
        self.clear()
        for kept in loaded:
            self._keep(kept)
        self._drop_expired()


class DummyCookieJar(AbstractCookieJar):
    """Keep no cookies and send none."""

    def __init__(self, *, loop: asyncio.AbstractEventLoop | None = None) -> None:
        pass

    def __len__(self) -> int:
        """Give 0."""
        return 0

    def __iter__(self) -> Iterator[Morsel[str]]:
        """Give nothing."""
        return iter(())

    @property
    def cookies(self) -> Mapping[tuple[str, str], SimpleCookie]:
        """Nothing."""
        return MappingProxyType({})

    @property
    def host_only_cookies(self) -> frozenset[tuple[str, str, str]]:
        """Nothing."""
        return frozenset()

    @property
    def quote_cookie(self) -> bool:
        """Whether values with special characters are quoted, here those of one request."""
        return True

    def clear(self, predicate: Callable[[Morsel[str]], bool] | None = None) -> None:
        """Do nothing."""

    def clear_domain(self, domain: str) -> None:
        """Do nothing."""

    def update_cookies(self, cookies: LooseCookies, response_url: URL = _NO_URL) -> None:
        """Do nothing."""

    def update_cookies_from_headers(self, headers: Sequence[str], response_url: URL) -> None:
        """Do nothing."""

    def filter_cookies(self, request_url: URL = _NO_URL) -> BaseCookie[str]:
        """Give no cookies."""
        return SimpleCookie()


def _keeps_prefix(kept: KeptCookie, site: _Site) -> bool:
    """Whether a cookie has what its name promises. Source: the draft that follows RFC 6265, section 5.7."""
    name = kept.cookie.name.lower()
    if name.startswith("__host-"):
        has_scope = kept.is_host_only and kept.path == "/" and "domain" not in kept.cookie.attributes
        return kept.is_secure and site.is_secure and has_scope
    return not name.startswith("__secure-") or (kept.is_secure and site.is_secure)


def _read_origins(origins: str | URL | Iterable[str | URL] | None) -> frozenset[URL]:
    if origins is None:
        return frozenset()
    if isinstance(origins, str | URL):
        origins = [origins]
    return frozenset(_make_origin(URL(origin)) for origin in origins)


def _make_origin(url: URL) -> URL:
    """Make an origin that is equal to the same one with its default port written out."""
    origin = url.origin()
    return origin.with_port(None) if origin.is_default_port() else origin
