"""Render errors for people: the one default renderer for handler errors and parser errors alike.

What a peer sent is never repeated outside debug mode, where it is escaped and cut.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Iterable
from html import escape
from http import HTTPStatus
from typing import Any, Final

from .errors import RemoteProtocolError, RequestPayloadError
from .fields import parse_quality_list
from .response import Response

#: Makes the answer to an error; the request is None where none could be parsed. The port of
#: ``corelet_make_error_renderer``.
ErrorRenderer = Callable[[BaseException, Any], Response]

#: Characters of details shown in debug mode; a deep recursion's traceback is longer than anybody reads.
MAX_DETAIL_CHARACTERS: Final = 32_768

_HTML: Final = """\
<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{title}</title></head>
<body>
<h1>{title}</h1>
{detail}</body>
</html>
"""


def make_error_renderer(debug: bool, report: Callable[[], Iterable[str]] | None = None) -> ErrorRenderer:
    """Make the default renderer.

    Args:
        debug: whether answers show the error with its traceback.
        report: gives lines that stand below the traceback: what plugins say of themselves.

    Returns:
        What makes a response of an error and its request, or None where no request could be parsed.
    """

    def render(error: BaseException, request: Any) -> Response:
        status = find_status(error)
        return render_error(status, HTTPStatus(status).phrase, error, request, debug=debug, report=report)

    return render


def find_status(error: BaseException) -> int:
    """Return the status that answers an error: what the peer broke is 4xx or 5xx by its hint, all else is 500."""
    if isinstance(error, RemoteProtocolError):
        return error.status_hint
    if isinstance(error, RequestPayloadError):
        return HTTPStatus.BAD_REQUEST
    return HTTPStatus.INTERNAL_SERVER_ERROR


def render_error(
    status: int,
    reason: str,
    error: BaseException | None,
    request: Any,
    *,
    debug: bool,
    report: Callable[[], Iterable[str]] | None = None,
) -> Response:
    """Make the answer to an error, as HTML, JSON or plain text by the request's Accept.

    JSON has the members of RFC 9457 ``status``, ``title`` and, in debug mode, ``detail``.

    Args:
        status: of the answer.
        reason: its phrase, for people.
        error: what happened; shown in debug mode only.
        request: decides the form; plain text when None or when anything is accepted.
        debug: whether to show the error with its traceback.
        report: gives lines to stand below it.

    Returns:
        A response with a charset and ``X-Content-Type-Options: nosniff``, so that no browser takes it for another type.

    Source: RFC 9110 section 12.5.1 for Accept.
    """
    detail = _describe(error) if debug and error is not None else ""
    if detail and report is not None:
        lines = "\n".join(report())[:MAX_DETAIL_CHARACTERS]
        detail = f"{detail.rstrip()}\n{lines}" if lines else detail
    content_type = _choose_type(request)
    text = _FORMS[content_type](status, reason, detail)
    return Response(
        body=text.encode("utf-8", "backslashreplace"),
        status=status,
        reason=reason,
        content_type=content_type,
        charset="utf-8",
        headers={"X-Content-Type-Options": "nosniff"},
    )


def _describe(error: BaseException) -> str:
    """Return the traceback; its end where it is too long, since the error stands there."""
    if isinstance(error, RemoteProtocolError):
        return f"{type(error).__name__}: {error}"[:MAX_DETAIL_CHARACTERS]
    return "".join(traceback.format_exception(error))[-MAX_DETAIL_CHARACTERS:]


def _make_html(status: int, reason: str, detail: str) -> str:
    block = f"<pre>{escape(detail)}</pre>\n" if detail else ""
    return _HTML.format(title=escape(f"{status} {reason}"), detail=block)


def _make_json(status: int, reason: str, detail: str) -> str:
    members: dict[str, Any] = {"status": status, "title": reason}
    if detail:
        members["detail"] = detail
    return json.dumps(members)


def _make_plain(status: int, reason: str, detail: str) -> str:
    return f"{status}: {reason}\n\n{detail}" if detail else f"{status}: {reason}"


#: Media type -> how it is made; in the order of preference where Accept names several with one quality.
_FORMS: Final[dict[str, Callable[[int, str, str], str]]] = {
    "text/html": _make_html,
    "application/json": _make_json,
    "text/plain": _make_plain,
}


def _choose_type(request: Any) -> str:
    """Choose among the forms: by quality, then those named before those a wildcard takes, then by order.

    Where only wildcards speak it is plain text: that's a program, or curl.
    """
    accept = None if request is None else request.headers.get("Accept")
    if not accept:
        return "text/plain"
    qualities = {name.lower(): quality for name, quality in parse_quality_list(accept)}

    def rank(content_type: str) -> tuple[float, bool, bool]:
        if content_type in qualities:
            return qualities[content_type], True, False
        wildcard = qualities.get(content_type.partition("/")[0] + "/*", qualities.get("*/*", 0.0))
        return wildcard, False, content_type == "text/plain"

    best = max(_FORMS, key=rank)
    return best if rank(best)[0] > 0 else "text/plain"
