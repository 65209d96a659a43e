"""FormData: the fields of a form, made into a payload."""

from __future__ import annotations

import io
import os
from collections.abc import AsyncIterable, Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlencode

from multidict import MultiDict, MultiDictProxy

from corelet import PAYLOAD_REGISTRY, Payload, StringPayload, get_payload

from .writer import MultipartWriter

#: The name of the field where a file is given without one.
_UNNAMED: Final = "unknown"


class FormData:
    """Collect the fields of a form; call it, or give it as a body, to get its payload.

    The payload is ``application/x-www-form-urlencoded`` unless there is a file, bytes, or a field with a file name, a
    content type or a transfer encoding: then it is ``multipart/form-data``.

    Args:
        fields: a mapping, or an iterable of what :meth:`add_fields` takes.
        quote_fields: escape names of fields and files as browsers do.
        charset: of text; utf-8 unless given.
        default_to_multipart: be ``multipart/form-data`` in any case.

    Source: RFC 7578; the WHATWG URL Standard, section 5.
    """

    def __init__(
        self,
        fields: Iterable[Any] = (),
        quote_fields: bool = True,
        charset: str | None = None,
        *,
        default_to_multipart: bool = False,
    ) -> None:
        self._quote_fields = quote_fields
        self._charset = charset
        self._is_multipart = default_to_multipart
        self._fields: list[_Field] = []
        if isinstance(fields, Mapping):
            self.add_fields(*_iter_items(fields))
        elif isinstance(fields, io.IOBase):
            self.add_fields(fields)
        else:
            self.add_fields(*fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __bool__(self) -> bool:
        return True

    @property
    def is_multipart(self) -> bool:
        """Whether the payload will be ``multipart/form-data``."""
        return self._is_multipart

    def add_field(
        self,
        name: str,
        value: Any,
        *,
        content_type: str | None = None,
        filename: str | None = None,
        content_transfer_encoding: str | None = None,
    ) -> None:
        """Add a field.

        Args:
            name: of the field.
            value: a str, a number, bytes, a file, an async iterable of bytes or a Payload.
            content_type: of the value; by the file's name unless given.
            filename: the name of the file, as the peer is to see it; that of an open file unless given.
            content_transfer_encoding: ``base64`` or ``quoted-printable``, for old peers. Source: RFC 7578 section 4.7.

        Raises:
            TypeError: a name, a value or an option of another type.
            ValueError: a name or an option that can't be sent.
        """
        for what, given in (
            ("name", name),
            ("content_type", content_type),
            ("filename", filename),
            ("content_transfer_encoding", content_transfer_encoding),
        ):
            if not isinstance(given, str) and (given is not None or what == "name"):
                raise TypeError(f"{what} of a form's field is a str, not {type(given).__name__}")
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str | bytes | bytearray | memoryview | io.IOBase | AsyncIterable | Payload):
            raise TypeError(
                f"the value of field {name!r} is a str, a number, bytes, a file, an async iterable or a Payload, "
                f"not {type(value).__name__}"
            )
        if filename is None and isinstance(value, io.IOBase):
            filename = _find_filename(value) or name
        field = _Field(name, value, content_type, filename, content_transfer_encoding)
        is_multipart = self._is_multipart or not field.is_plain
        # Urlencoded any name can be sent; but whoever has names unquoted is to hear of those that could do harm.
        if is_multipart or not self._quote_fields:
            field.check(self._quote_fields, self._charset)
        self._is_multipart = is_multipart
        self._fields.append(field)

    def add_fields(self, *fields: Any) -> None:
        """Add fields.

        Args:
            fields: each a pair of name and value, a mapping, or an open file.

        Raises:
            TypeError: something else.
        """
        for field in fields:
            if isinstance(field, io.IOBase):
                self.add_field(_find_filename(field) or _UNNAMED, field)
            elif isinstance(field, Mapping):
                self.add_fields(*_iter_items(field))
            elif isinstance(field, list | tuple) and len(field) == 2:
                self.add_field(*field)
            else:
                raise TypeError(
                    f"a form's field is a pair of name and value, a mapping or an open file, not {field!r}: "
                    "use add_field() for more"
                )

    def __call__(self) -> Payload:
        """Make the payload; each call makes a new one, of the same values."""
        return self._make_multipart() if self._is_multipart else self._make_urlencoded()

    def _make_multipart(self) -> MultipartWriter:
        writer = MultipartWriter("form-data")
        for field in self._fields:
            writer.append_payload(field.make_payload(self._quote_fields, self._charset))
        return writer

    def _make_urlencoded(self) -> Payload:
        charset = self._charset or "utf-8"
        media_type = "application/x-www-form-urlencoded"
        text = urlencode([(field.name, field.value) for field in self._fields], encoding=charset)
        # A parameter only where it says something: the media type has none. Source: WHATWG URL section 5.
        suffix = "" if charset.lower() == "utf-8" else f"; charset={charset}"
        return StringPayload(text, encoding=charset, content_type=media_type + suffix)


class _Field:
    """A field as it was given."""

    def __init__(
        self,
        name: str,
        value: Any,
        content_type: str | None,
        filename: str | None,
        transfer_encoding: str | None,
    ) -> None:
        self.name = name
        self.value = value
        self._content_type = content_type
        self._filename = filename
        self._transfer_encoding = transfer_encoding

    @property
    def is_plain(self) -> bool:
        """Whether it can be sent urlencoded."""
        options = (self._content_type, self._filename, self._transfer_encoding)
        return isinstance(self.value, str) and options == (None, None, None)

    def check(self, quote_fields: bool, charset: str | None) -> None:
        """Refuse a name and options that can't be sent, where they are given and not when they are sent."""
        probe = _Field(self.name, b"", self._content_type, self._filename, self._transfer_encoding)
        MultipartWriter("form-data").append_payload(probe.make_payload(quote_fields, charset))

    def make_payload(self, quote_fields: bool, charset: str | None) -> Payload:
        """Make the payload of a part."""
        given: dict[str, Any] = {}
        if self._content_type is not None:
            given["content_type"] = self._content_type
        if self._filename is not None:
            given["filename"] = self._filename
        if isinstance(self.value, str):
            payload: Payload = StringPayload(self.value, encoding=charset, **given)
            if self._content_type is None and charset is None:
                # Plain text in utf-8 is what a field without a type is, and what browsers send. RFC 7578 section 4.4.
                del payload.headers["Content-Type"]
        else:
            payload = get_payload(self.value, **given)
        params = {"name": self.name} if self._filename is None else {"name": self.name, "filename": self._filename}
        payload.set_content_disposition("form-data", quote_fields, charset or "utf-8", **params)
        if self._transfer_encoding is not None:
            payload.headers["Content-Transfer-Encoding"] = self._transfer_encoding
        return payload


def _iter_items(fields: Mapping[str, Any]) -> list[tuple[str, Any]]:
    if isinstance(fields, MultiDict | MultiDictProxy):
        return list(fields.items())
    return [
        (name, value)
        for name, given in fields.items()
        for value in (given if isinstance(given, list | tuple) else (given,))
    ]


def _find_filename(value: Any) -> str | None:
    """Take the name of an open file; ``<stdin>`` and file descriptors have none."""
    name = getattr(value, "name", None)
    if isinstance(name, str) and name and name[0] != "<" and name[-1] != ">":
        return os.path.basename(name)
    return None


def _make_payload(form: FormData, **options: Any) -> Payload:
    return form()


# A form as the body of a response, or as a client's data.
PAYLOAD_REGISTRY.register(_make_payload, FormData)
