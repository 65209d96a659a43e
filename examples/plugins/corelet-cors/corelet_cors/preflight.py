"""Preflights: a browser asks whether a page may send a request. Source: Fetch standard, section 4.8."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from corelet import web
from corelet.abc import Handler, PrepareHook

from .place import Cors
from .policy import CorsPolicy, split_names

_REQUEST_METHOD: Final = "Access-Control-Request-Method"
#: Marks requests whose answers are no affair of :func:`make_prepare_hook`.
_IS_PREFLIGHT: Final = web.RequestKey("is_preflight", bool)


def make_wrapper(place: Cors) -> Callable[[Handler], Handler]:
    """Make what answers preflights in place of a handler."""

    def wrap(handler: Handler) -> Handler:
        async def answer(request: Any) -> Any:
            if not _is_preflight(request):
                return await handler(request)
            request[_IS_PREFLIGHT] = True
            match = await _find_target(request)
            policy = None if match is None and request.match_info is not None else place.find(match)
            # What isn't there, and what pages have no business with, is as if nobody knew of preflights.
            return await handler(request) if policy is None else _answer(request, policy)

        return answer

    return wrap


def _is_preflight(request: Any) -> bool:
    """Whether a request only asks for leave. Source: Fetch standard, CORS-preflight request."""
    headers = request.headers
    return request.method == "OPTIONS" and "Origin" in headers and _REQUEST_METHOD in headers


async def _find_target(request: Any) -> Any:
    """Find what would answer the request that is announced; None where nothing would."""
    if request.match_info is None:
        return None
    router = request.match_info.apps[0].router
    announced = request.clone(method=request.headers[_REQUEST_METHOD])
    match = router.find(announced)
    if match is None:
        match = await router.resolve(announced)
    return match if match.http_exception is None else None


def _answer(request: Any, policy: CorsPolicy) -> web.Response:
    headers = request.headers
    origins = headers.getall("Origin")
    method = headers[_REQUEST_METHOD]
    names = split_names(headers.getall("Access-Control-Request-Headers", []))
    is_private = headers.get("Access-Control-Request-Private-Network") == "true"
    refusal = policy.find_refusal(origins, method, names, is_private=is_private)
    if refusal is not None:
        return web.Response(status=403, text=refusal, headers={"Vary": "Origin"})
    response = web.Response(status=204)
    policy.write_preflight_fields(response.headers, origins, method, names)
    if is_private:
        response.headers["Access-Control-Allow-Private-Network"] = "true"
    return response


def make_prepare_hook(place: Cors) -> PrepareHook:
    """Make what writes the fields of all other answers, of errors and streams too."""

    async def write(request: Any, response: web.StreamResponse) -> None:
        if response.status == 101 or (request.own_data is not None and _IS_PREFLIGHT in request):
            return
        policy = place.find(request.match_info)
        if policy is not None:
            policy.write_fields(response.headers, request.headers.getall("Origin", []))

    return write


def is_asked_by_preflights(route: Any) -> bool:
    """Whether preflights may come to a route, or, for None, are what no route answers."""
    return route is None or getattr(route, "method", "*") in ("*", "OPTIONS")
