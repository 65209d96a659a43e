"""The body of a request: from what callers give to a payload."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from corelet import BytesPayload, Payload, get_payload, hdrs

from .other_plugin import names

#: Values of a form that are files, so that the form has to be multipart.
_FILES: Final = (io.IOBase, Payload)
_FORM_TYPE: Final = "application/x-www-form-urlencoded"


def make_body(data: Any) -> Payload | bytes:
    """Make the body of a request.

    Args:
        data: None, bytes, text, a file, an async iterable of bytes, a Payload, a FormData, or a form: a mapping or a
            list or tuple of pairs, with files as values where a multipart plugin is installed.

    Returns:
        A payload; ``b""`` for no body.

    Raises:
        MissingPluginError: the form has files and no plugin writes multipart.
        TypeError: nothing makes a body of it.
    """
    if data is None or (isinstance(data, bytes) and not data):
        return b""
    if isinstance(data, bytes):
        return BytesPayload(data)
    if isinstance(data, Mapping | list | tuple):
        return _make_form(data)
    if not isinstance(data, type) and callable(data) and hasattr(data, "is_multipart"):
        form: Payload = data()
        return form
    try:
        payload = get_payload(data)
    except LookupError as error:
        raise TypeError(f"data can't be a {type(data).__name__}: {error}") from error
    if isinstance(data, io.IOBase):  # a file's name is for parts of a form
        payload.headers.pop(hdrs.CONTENT_DISPOSITION, None)
    return payload


def _make_form(data: Any) -> Payload | bytes:
    pairs = list(data.items() if isinstance(data, Mapping) else data)
    if not pairs:
        return b""
    if all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in pairs) and not any(
        isinstance(value, _FILES) for _, value in pairs
    ):
        text = urlencode([(name, _check_value(name, value)) for name, value in pairs])
        return BytesPayload(text.encode("ascii"), content_type=_FORM_TYPE)
    form: Payload = names.FormData(data)()
    return form


def _check_value(name: Any, value: Any) -> str | bytes | int | float:
    if isinstance(value, str | bytes | int | float) and not isinstance(value, bool):
        return value
    raise TypeError(f"field {name!r} of a form is a str, bytes or a number, not {value!r}: convert it yourself")
