"""Templates become answers."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

from corelet import web
from corelet.abc import AbstractView

from .environment import find_templates

_H = TypeVar("_H", bound=Callable[..., Awaitable[Any]])
Headers = Mapping[str, str] | Iterable[tuple[str, str]]

_HTML: Final = "text/html"
#: Characters that a stream collects for one write.
_PIECE: Final = 16_384


async def render_text(name: str | Iterable[str], request: Any, context: Mapping[str, Any] | None = None) -> str:
    """Render a template to text.

    Args:
        name: of the template; of several the first one that there is.
        request: the request that is answered.
        context: what the template knows beside what context processors give.

    Raises:
        RuntimeError: no application on the way has templates.
        jinja2.TemplateNotFound: there is no such template.
    """
    template, values = await _prepare(name, request, context)
    text: str = await template.render_async(values)
    return text


async def render_template(
    name: str | Iterable[str],
    request: Any,
    context: Mapping[str, Any] | None = None,
    *,
    status: int = 200,
    reason: str | None = None,
    headers: Headers | None = None,
    content_type: str = _HTML,
    charset: str = "utf-8",
) -> web.Response:
    """Answer by a template.

    Args:
        name, request, context: as of :func:`render_text`.
        status, reason, headers, content_type, charset: of the ``web.Response``.

    Raises:
        RuntimeError, jinja2.TemplateNotFound: as :func:`render_text`.
    """
    text = await render_text(name, request, context)
    return web.Response(
        text=text, status=status, reason=reason, headers=headers, content_type=content_type, charset=charset
    )


async def stream_template(
    name: str | Iterable[str],
    request: Any,
    context: Mapping[str, Any] | None = None,
    *,
    status: int = 200,
    headers: Headers | None = None,
    content_type: str = _HTML,
) -> web.Response:
    """Answer by a template that is sent while it is rendered: for pages too large to hold, or slow to come.

    Args:
        name, request, context: as of :func:`render_text`.
        status, headers, content_type: of the ``web.Response``, whose text is UTF-8.

    Raises:
        RuntimeError, jinja2.TemplateNotFound: as :func:`render_text`. What the template raises later cuts the answer
            off.
    """
    template, values = await _prepare(name, request, context)
    body = _collect(template.generate_async(values))
    return web.Response(body=body, status=status, headers=headers, content_type=content_type, charset="utf-8")


async def _collect(pieces: AsyncIterator[str]) -> AsyncIterator[bytes]:
    """Join what a template gives word by word."""
    collected: list[str] = []
    size = 0
    async for piece in pieces:
        collected.append(piece)
        size += len(piece)
        if size >= _PIECE:
            yield "".join(collected).encode()
            collected, size = [], 0
    yield "".join(collected).encode()


async def _prepare(
    name: str | Iterable[str], request: Any, context: Mapping[str, Any] | None
) -> tuple[Any, dict[str, Any]]:
    found = find_templates(request)
    environment = found[0].environment
    template = environment.get_template(name) if isinstance(name, str) else environment.select_template(list(name))
    values: dict[str, Any] = {"request": request}
    for templates in reversed(found):
        for process in templates.context_processors:
            given = process(request)
            values.update(await given if inspect.isawaitable(given) else given)
    values.update(context or {})
    return template, values


def template(
    name: str | Iterable[str],
    *,
    status: int = 200,
    headers: Headers | None = None,
    content_type: str = _HTML,
    charset: str = "utf-8",
) -> Callable[[_H], _H]:
    """Answer by a template what a handler returns: a mapping, or None for an empty one.

    A decorator for handlers and methods of class-based views. A response that the handler returns is sent as it is.

    Args:
        name: as of :func:`render_text`.
        status, headers, content_type, charset: of the ``web.Response``.

    Raises:
        TypeError: when a request is answered and the handler has returned something else.
    """

    def decorate(handler: _H) -> _H:
        @functools.wraps(handler)
        async def answer(*arguments: Any) -> Any:
            result = await handler(*arguments)
            if isinstance(result, web.StreamResponse):
                return result
            if not (result is None or isinstance(result, Mapping)):
                raise TypeError(
                    f"{handler.__qualname__} returned {result!r}, expected a mapping for the template {name!r}, or "
                    "a response"
                )
            request = arguments[-1]
            return await render_template(
                name,
                request.request if isinstance(request, AbstractView) else request,
                result,
                status=status,
                headers=headers,
                content_type=content_type,
                charset=charset,
            )

        return answer  # type: ignore[return-value]  # it takes what the handler takes

    return decorate
