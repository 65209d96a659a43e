"""Extensions: the port that they fill, their registry, and the header field that negotiates them."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from corelet import PluginConflictError

#: Parameters of an extension, in order; None where one has no value.
Parameters = Sequence[tuple[str, str | None]]

_TOKEN: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # noqa: S105  # RFC 9110's word for it
_VALUE: Final = rf'({_TOKEN}|"(?:[^"\\]|\\.)*")'
_NAME: Final = re.compile(rf"[ \t]*({_TOKEN})[ \t]*")
_PARAMETER: Final = re.compile(rf";[ \t]*({_TOKEN})[ \t]*(?:=[ \t]*{_VALUE}[ \t]*)?")


class WebSocketExtension(ABC):
    """One extension as it was negotiated for one connection: codes whole messages.

    Raise :class:`~corelet_websocket.WebSocketError` from :meth:`decode` to fail the connection by its code.
    """

    #: Reserved bits of the first frame that say a message is coded: 0x40, 0x20 or 0x10; 0 where every message is.
    rsv: int = 0

    @abstractmethod
    def encode(self, data: bytes, level: int | None) -> bytes | None:
        """Code a message that is to be sent.

        Args:
            data: the message.
            level: what the caller of ``send_*`` gave as ``compress``; None for the extension's own setting.

        Returns:
            The coded message; None to send this one as it is, without the reserved bit.
        """

    @abstractmethod
    def decode(self, data: bytes, is_last: bool, max_bytes: int) -> bytes:
        """Decode a fragment of a message.

        Args:
            data: the fragment.
            is_last: whether the message ends with it.
            max_bytes: how long the result may be; -1 for no limit. A longer one is a WebSocketError with code 1009.
        """


class WebSocketExtensionFactory(ABC):
    """Negotiates one extension. Registered by ``corelet_websocket_extensions``.

    Source: RFC 6455 section 9.1.
    """

    #: The name in Sec-WebSocket-Extensions.
    name: str

    @abstractmethod
    def accept(self, parameters: Parameters) -> tuple[Parameters, WebSocketExtension] | None:
        """Answer a client's offer: parameters of the answer and the extension, or None to decline."""

    @abstractmethod
    def offer(self) -> Parameters:
        """Make the parameters of an offer to a server."""

    @abstractmethod
    def take(self, parameters: Parameters) -> WebSocketExtension:
        """Take a server's answer to :meth:`offer`.

        Raises:
            ValueError: it answers what was not offered.
        """


class WebSocketExtensionRegistry:
    """The extensions that a server accepts, in order of preference."""

    def __init__(self, factories: Iterable[WebSocketExtensionFactory] = ()) -> None:
        self._factories: dict[str, WebSocketExtensionFactory] = {}
        for factory in factories:
            self.add(factory)

    def add(self, factory: WebSocketExtensionFactory) -> None:
        """Register a factory.

        Raises:
            PluginConflictError: its name is registered already.
        """
        if factory.name in self._factories:
            raise PluginConflictError(
                f"WebSocket extension {factory.name!r} is registered twice: by {self._factories[factory.name]!r} and "
                f"by {factory!r}; keep one of the plugins out by CORELET_BLOCK"
            )
        self._factories[factory.name] = factory

    def __iter__(self) -> Iterator[WebSocketExtensionFactory]:
        return iter(self._factories.values())

    def __len__(self) -> int:
        return len(self._factories)


def accept_offers(factories: Iterable[WebSocketExtensionFactory], field: str) -> tuple[str, list[WebSocketExtension]]:
    """Choose from a client's offers.

    Args:
        factories: what the server knows; each is used once, and so is each reserved bit.
        field: the value of Sec-WebSocket-Extensions, all its lines joined by commas.

    Returns:
        The value of the answer's field, "" where nothing was chosen, and the extensions in its order.

    Raises:
        ValueError: the field is malformed.
    """
    known = {factory.name: factory for factory in factories}
    chosen: list[str] = []
    extensions: list[WebSocketExtension] = []
    bits = 0
    for name, parameters in parse_extensions(field):
        factory = known.get(name)
        answer = None if factory is None else factory.accept(parameters)
        if answer is None or answer[1].rsv & bits:
            continue
        bits |= answer[1].rsv
        del known[name]
        chosen.append(format_extension(name, answer[0]))
        extensions.append(answer[1])
    return ", ".join(chosen), extensions


def take_answer(factories: Iterable[WebSocketExtensionFactory], field: str) -> list[WebSocketExtension]:
    """Take a server's choice from what a client has offered.

    Raises:
        ValueError: it has chosen what was not offered, or in a way that was not.
    """
    offered = {factory.name: factory for factory in factories}
    extensions: list[WebSocketExtension] = []
    bits = 0
    for name, parameters in parse_extensions(field):
        factory = offered.pop(name, None)
        if factory is None:
            raise ValueError(f"extension {name!r} was not offered, or is there twice")
        extension = factory.take(parameters)
        if extension.rsv & bits:
            raise ValueError(f"extension {name!r} uses a reserved bit that another one has")
        bits |= extension.rsv
        extensions.append(extension)
    return extensions


def parse_extensions(field: str) -> list[tuple[str, Parameters]]:
    """Read Sec-WebSocket-Extensions.

    Raises:
        ValueError: it is malformed.

    Source: RFC 6455 section 9.1.
    """
    found: list[tuple[str, Parameters]] = []
    at = 0
    while at < len(field):
        if field[at] in ", \t":
            at += 1
            continue
        name = _NAME.match(field, at)
        if name is None:
            raise ValueError(f"Sec-WebSocket-Extensions is malformed at {field[at : at + 20]!r}")
        at = name.end()
        parameters: list[tuple[str, str | None]] = []
        while at < len(field) and field[at] == ";":
            parameter = _PARAMETER.match(field, at)
            if parameter is None:
                raise ValueError(f"Sec-WebSocket-Extensions is malformed at {field[at : at + 20]!r}")
            parameters.append((parameter[1], _unquote(parameter[2])))
            at = parameter.end()
        if at < len(field) and field[at] != ",":
            raise ValueError(f"Sec-WebSocket-Extensions is malformed at {field[at : at + 20]!r}")
        found.append((name[1], parameters))
    return found


def _unquote(value: str | None) -> str | None:
    if value is None or not value.startswith('"'):
        return value
    plain = re.sub(r"\\(.)", r"\1", value[1:-1])
    if not re.fullmatch(_TOKEN, plain):
        raise ValueError(f"Sec-WebSocket-Extensions has value {plain!r}, expected a token")
    return plain


def format_extension(name: str, parameters: Parameters) -> str:
    """Write one extension with its parameters."""
    return "; ".join([name, *(key if value is None else f"{key}={value}" for key, value in parameters)])
