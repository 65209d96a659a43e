"""Domains and masks of domains, compared with the host that a request asks for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, Generic, NamedTuple, TypeVar

from yarl import URL

_T = TypeVar("_T")

#: The longest name of a host. Source: RFC 1035 section 2.3.4, 255 octets with lengths: 253 characters.
MAX_NAME: Final = 253
_FORM: Final = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[^][:/?#@\s]+?)\.?(?::(?P<port>[0-9]{1,5}))?")
_LABEL: Final = re.compile(r"[a-z0-9_*-]+")
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}


class Domain:
    """A domain, or a mask in which ``*`` stands for any characters, dots too; with or without a port.

    Args:
        text: ``example.com``, ``example.com:8080``, ``*.example.com``, ``[::1]``. Case and a dot at the end don't
            count; a name beyond ASCII is encoded.

    Raises:
        ValueError: it has another form.

    Attributes:
        name: the domain or mask in lower case.
        port: the port as text; None for any.
    """

    __slots__ = ("name", "port")

    def __init__(self, text: str) -> None:
        form = _FORM.fullmatch(text)
        name = "" if form is None else _encode(form["name"])
        if form is None or not name:
            raise ValueError(
                f"{text!r} is no domain: expected a name like 'example.com', a mask like '*.example.com', or one of "
                "them with a port, like 'example.com:8080'"
            )
        self.name: Final = name
        self.port: Final[str | None] = form["port"] and str(int(form["port"]))

    def __str__(self) -> str:
        return self.name if self.port is None else f"{self.name}:{self.port}"


def _encode(name: str) -> str:
    """Return a name in lower case and ASCII; empty where it is none."""
    if name.startswith("["):
        return name.lower()
    labels = [_encode_label(label) for label in name.lower().split(".")]
    return ".".join(labels) if all(map(_LABEL.fullmatch, labels)) and len(name) <= MAX_NAME else ""


def _encode_label(label: str) -> str:
    if label.isascii():
        return label
    if "*" in label:
        return ""  # no encoding holds for whatever stands for the star
    try:
        return URL.build(scheme="http", host=label).raw_host or ""
    except ValueError:
        return ""


class _Entry(NamedTuple, Generic[_T]):
    rank: int
    domain: Domain
    found: _T


class DomainTable(Generic[_T]):
    """Things by domain; the one that was added first has a host.

    Domains and masks like ``*.example.com`` are found by looking into dicts, however many there are. Other masks are
    tried one by one.
    """

    def __init__(self) -> None:
        self._size = 0
        self._exact: dict[str, list[_Entry[_T]]] = {}
        #: Masks of the form ``*.example.com``, by what follows the first dot.
        self._below: dict[str, list[_Entry[_T]]] = {}
        self._masks: list[tuple[re.Pattern[str], _Entry[_T]]] = []

    def add(self, domain: Domain, thing: _T) -> None:
        """Add a thing after all others.

        Raises:
            ValueError: it would never be found, since another one has the domain, or a mask around it.
        """
        earlier = self._find(domain.name, domain.port)
        if earlier is not None:
            raise ValueError(
                f"an application at {str(domain)!r} would never be asked: {earlier!r} was mounted before and has the "
                "domain; mount the narrower one first"
            )
        entry = _Entry(self._size, domain, thing)
        self._size += 1
        first, _, rest = domain.name.partition(".")
        if "*" not in domain.name:
            self._exact.setdefault(domain.name, []).append(entry)
        elif first == "*" and rest and "*" not in rest:
            self._below.setdefault(rest, []).append(entry)
        else:
            self._masks.append((re.compile(re.escape(domain.name).replace(r"\*", ".*")), entry))

    def find(self, host: str, scheme: str) -> _T | None:
        """Find the thing that has a host.

        Args:
            host: ``request.host``, with or without a port.
            scheme: of the request; says which port it is where the host has none.
        """
        name, port = _split_host(host)
        return self._find(name, port or _DEFAULT_PORTS.get(scheme))

    def _find(self, name: str, port: str | None) -> _T | None:
        if len(name) > MAX_NAME:
            return None
        fitting = [entry for entry in self._iter_entries(name) if entry.domain.port in (None, port)]
        return min(fitting, key=_get_rank).found if fitting else None

    def _iter_entries(self, name: str) -> Iterator[_Entry[_T]]:
        yield from self._exact.get(name, ())
        parent = name if self._below else ""
        while parent:
            parent = parent.partition(".")[2]
            yield from self._below.get(parent, ())
        for mask, entry in self._masks:
            if mask.fullmatch(name):
                yield entry


def _get_rank(entry: _Entry[Any]) -> int:
    return entry.rank


def _split_host(host: str) -> tuple[str, str]:
    """Split a host in lower case from its port; a dot at the end doesn't count. Source: RFC 3986 section 3.2.2."""
    if host.startswith("["):
        name, _, rest = host.lower().partition("]")
        return f"{name}]", rest.removeprefix(":")
    name, _, port = host.lower().partition(":")
    return name.removesuffix("."), port
