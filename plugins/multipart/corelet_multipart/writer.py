"""Writing a multipart body: payloads one after another, each with its head.

Nothing is joined in memory: a part's payload writes itself when its turn comes. Heads and small parts go out together.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlencode

from corelet import AsyncIterablePayload, JsonPayload, Payload, StringPayload, get_payload
from corelet.abc import AbstractStreamWriter

from .coding import Encoder, find_codings, make_encoders
from .parser import check_boundary

if TYPE_CHECKING:
    from multidict import CIMultiDict

#: What is smaller is joined with what follows it.
_JOIN_BYTES: Final = 65_536
_IS_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++").fullmatch
_HAS_NAME: Final = re.compile(r";[ \t]*+name=", re.IGNORECASE).search
_BAD_VALUE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]").search


class MultipartWriter(Payload):
    """Write parts as one body.

    A writer is a payload: the body of a response, the data of a client's request, or a part of another writer. It
    can be written again where all of its parts can.

    Args:
        subtype: of the media type: ``mixed``, ``form-data``, ``related``.
        boundary: what stands between parts; random unless given.

    Raises:
        ValueError: the boundary is none, or the subtype is no token.

    Source: RFC 2046 section 5.1.
    """

    def __init__(self, subtype: str = "mixed", boundary: str | None = None) -> None:
        if _IS_TOKEN(subtype) is None:
            raise ValueError(f"the subtype of a media type is a token, not {subtype!r}")
        self._boundary = uuid.uuid4().hex if boundary is None else check_boundary(boundary)
        self._subtype = subtype
        self._parts: list[Payload] = []
        # A boundary that is no token stands between quotes. Source: RFC 2046 section 5.1.1.
        text = self._boundary if _IS_TOKEN(self._boundary) else f'"{self._boundary}"'
        super().__init__(None, content_type=f"multipart/{subtype}; boundary={text}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        return None

    def __iter__(self) -> Iterator[tuple[Payload, str, str]]:
        """Iterate over payloads, each with its content coding and its transfer encoding, "" for none."""
        return ((part, *find_codings(part.headers)) for part in self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def __bool__(self) -> bool:
        return True

    @property
    def boundary(self) -> str:
        """What stands between parts."""
        return self._boundary

    # Parts.

    def append(self, obj: Any, headers: Mapping[str, str] | None = None) -> Payload:
        """Add a part.

        Args:
            obj: a Payload, or what the payload registry takes: bytes, str, a file, an async iterable.
            headers: fields of the part. Content-Encoding (deflate, gzip) and Content-Transfer-Encoding (base64,
                quoted-printable) have the content encoded when it is written.

        Returns:
            The part's payload.

        Raises:
            LookupError: no payload takes the object.
            ValueError: fields that can't be sent, or a coding that is unknown.
        """
        if isinstance(obj, Payload):
            obj.headers.update(headers or {})
            return self.append_payload(obj)
        return self.append_payload(get_payload(obj, headers=headers))

    def append_payload(self, payload: Payload) -> Payload:
        """Add a payload as a part; see :meth:`append`."""
        make_encoders(payload.headers)
        _serialize_head(payload.headers)
        self._parts.append(payload)
        return payload

    def append_json(self, obj: Any, headers: Mapping[str, str] | None = None) -> Payload:
        """Add an object as JSON."""
        return self.append_payload(JsonPayload(obj, headers=headers))

    def append_form(
        self, obj: Sequence[tuple[str, str]] | Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> Payload:
        """Add names and values as an urlencoded form."""
        pairs = list(obj.items()) if isinstance(obj, Mapping) else obj
        text = urlencode(pairs, doseq=True)
        return self.append_payload(
            StringPayload(text, headers=headers, content_type="application/x-www-form-urlencoded")
        )

    # What it is as a payload.

    @property
    def size(self) -> int | None:
        """Bytes of the whole body; None where that of a part is unknown, or it is encoded."""
        total = len(self._boundary) + 6
        for part in self._parts:
            size = part.size
            if size is None or make_encoders(part.headers):
                return None
            total += len(self._boundary) + 4 + len(_serialize_head(part.headers)) + size + 2
        return total

    @property
    def consumed(self) -> bool:
        """Whether a part was written and can't be written again."""
        return any(part.consumed for part in self._parts)

    @property
    def autoclose(self) -> bool:
        """Whether no part has anything to close."""
        return all(part.autoclose for part in self._parts)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Get the body as text, at once; parts that are encoded or come bit by bit can't be had so.

        Raises:
            TypeError: a part is encoded or comes bit by bit.
        """
        pieces: list[str] = []
        for part in self._parts:
            if make_encoders(part.headers):
                raise TypeError("a part that is encoded can't be had as text at once: await as_bytes()")
            head = self._make_part_head(part).decode("utf-8", "surrogateescape")
            pieces.append(f"{head}{part.decode(encoding, errors)}\r\n")
        return f"{''.join(pieces)}--{self._boundary}--\r\n"

    async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Get the body as it would be written; a part that comes bit by bit is kept, and can be written still."""
        for part in self._parts:
            if isinstance(part, AsyncIterablePayload | MultipartWriter):
                await part.as_bytes()
        writer = _Collector()
        await self.write(writer)
        return b"".join(writer.pieces)

    async def write(self, writer: AbstractStreamWriter, close_boundary: bool = True) -> None:
        """Write all parts.

        Args:
            writer: takes the bytes.
            close_boundary: end the body; False where more parts will follow.

        Raises:
            ValueError: a part of a form has no name.
            RuntimeError: a part was written before and can't be read again.
        """
        joined = _JoiningWriter(writer)
        for part in self._parts:
            await joined.write(self._make_part_head(part))
            encoders = make_encoders(part.headers)
            if encoders:
                encoded = _EncodingWriter(joined, encoders)
                await part.write(encoded)
                await encoded.write_eof()
            else:
                # A file that grows meanwhile must not make the body longer than its size.
                await part.write_with_length(joined, part.size)
            await joined.write(b"\r\n")
        if close_boundary:
            await joined.write(f"--{self._boundary}--\r\n".encode("ascii"))
        await joined.flush()

    def _make_part_head(self, part: Payload) -> bytes:
        if self._subtype == "form-data" and _HAS_NAME(part.headers.get("Content-Disposition", "")) is None:
            raise ValueError(f"{part!r} is a field without a name: set_content_disposition('form-data', name=...)")
        return f"--{self._boundary}\r\n".encode("ascii") + _serialize_head(part.headers)

    async def close(self) -> None:
        """Close all parts, each though another fails; a second call does nothing."""
        errors: list[Exception] = []
        for part in self._parts:
            try:
                await part.close()
            except Exception as exc:  # noqa: BLE001  # raised below, when all are closed
                errors.append(exc)
        if errors:
            raise errors[0]


def _serialize_head(headers: CIMultiDict[str]) -> bytes:
    """Make the bytes of a head, with its blank line.

    Raises:
        ValueError: a name is no token, or a value has control characters: it could end the field or the head.
    """
    lines: list[str] = []
    for name, value in headers.items():
        if _IS_TOKEN(name) is None:
            raise ValueError(f"the name of a field is a token, not {name!r}")
        if _BAD_VALUE(value) is not None:
            raise ValueError(f"field {name} of a part can't have control characters: {value!r}")
        lines.append(f"{name}: {value}\r\n")
    return "".join([*lines, "\r\n"]).encode("utf-8", "surrogateescape")


class _PartWriter(AbstractStreamWriter):
    """What a part's payload writes to: bytes only, since head and framing are the outer writer's."""

    async def write_eof(self, chunk: bytes = b"") -> None:
        await self.write(chunk)

    async def drain(self) -> None:
        return None

    async def write_headers(self, status_line: str, headers: CIMultiDict[str]) -> None:
        raise RuntimeError("a part has no start line")

    def enable_chunking(self) -> None:
        raise RuntimeError("a part has no transfer coding")


class _Collector(_PartWriter):
    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        self.pieces.append(bytes(chunk))


class _JoiningWriter(_PartWriter):
    """Join small pieces, so that a form of many fields is one write."""

    def __init__(self, writer: AbstractStreamWriter) -> None:
        self._writer = writer
        self._pieces: list[bytes] = []
        self._size = 0

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        if len(chunk) >= _JOIN_BYTES:
            await self.flush()
            await self._writer.write(chunk)
            return
        self._pieces.append(bytes(chunk))
        self._size += len(chunk)
        if self._size >= _JOIN_BYTES:
            await self.flush()

    async def flush(self) -> None:
        """Write what was held back."""
        if self._size:
            data = b"".join(self._pieces)
            self._pieces.clear()
            self._size = 0
            await self._writer.write(data)

    async def drain(self) -> None:
        await self.flush()
        await self._writer.drain()


class _EncodingWriter(_PartWriter):
    """Encode what is written."""

    def __init__(self, writer: AbstractStreamWriter, encoders: list[Encoder]) -> None:
        self._writer = writer
        self._encoders = encoders

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        await self._write_through(0, bytes(chunk))

    async def write_eof(self, chunk: bytes = b"") -> None:
        await self.write(chunk)
        for position, encoder in enumerate(self._encoders):
            await self._write_through(position + 1, encoder.finish())

    async def _write_through(self, position: int, data: bytes) -> None:
        for encoder in self._encoders[position:]:
            data = encoder.encode(data) if data else data
        if data:
            await self._writer.write(data)
