"""What every error renderer must do, as tests that its author runs."""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Final

from corelet import RemoteProtocolError, hookimpl, web

from .conformance import Conformance
from .mocked_request import make_mocked_request

_SECRET: Final = "s3cret-of-the-server"  # noqa: S105  # what must not be shown
#: Nothing that a test wants to see: errors that it makes itself.
_SILENT: Final = logging.getLogger("corelet_testing.silent")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False


class ErrorRendererConformance(Conformance):
    """Test what ``corelet_make_error_renderer`` gives: ``(error, request or None) -> Response``."""

    port = "an error renderer"

    @abstractmethod
    def make_renderer(self, app: web.Application) -> Callable[[BaseException, Any], web.Response]:
        """Make the renderer of an application that is not in debug mode."""

    def make_app(self) -> web.Application:
        """Make an application whose handler fails, and that renders its errors by the renderer."""
        return web.Application(handler=_fail, plugins=[_Rendering(self.make_renderer)], logger=_SILENT)

    async def test_a_handlers_error_is_500_without_its_words(self) -> None:
        """What went wrong is for the log; a peer learns nothing of the server."""
        async with self.serve(self.make_app()) as client:
            for accept in ("text/html", "application/json", "text/plain", "*/*", "image/png", ""):
                async with client.get("/", headers={"Accept": accept}) as answer:
                    self.expect_equal(answer.status, 500, f"a handler's error is 500 for Accept: {accept}")
                    body = await answer.read()
                    hides = _SECRET.encode() not in body and b"Traceback" not in body
                    self.expect(hides, "outside debug mode no peer sees an error's words", body)
            async with client.head("/") as answer:
                self.expect_equal((answer.status, await answer.read()), (500, b""), "HEAD gets no body")

    async def test_what_the_parser_refuses_has_no_request(self) -> None:
        """The error says by ``status_hint`` which status it is."""
        async with self.serve(self.make_app()) as client:
            reader, writer = await asyncio.open_connection(client.host, client.port)
            writer.write(b"nonsense\r\n\r\n")
            async with self.expect_end("what the parser refuses is answered"):
                answer = await reader.read()
            writer.close()
            await writer.wait_closed()
        self.expect(answer.startswith(b"HTTP/1.1 400 "), "what the parser refuses is 400", answer)

    async def test_the_status_is_the_errors(self) -> None:
        """That of the peer's errors 4xx, or what they hint at; that of all others 500."""
        app = self.make_app()
        render = self.make_renderer(app)
        request = make_mocked_request("GET", "/", app=app)
        for error, status in [
            (RuntimeError(_SECRET), 500),
            (RemoteProtocolError("head too large", 431), 431),
            (RemoteProtocolError("malformed"), 400),
            (web.RequestPayloadError("cut short"), 400),
        ]:
            for each in (request, None):
                response = render(error, each)
                self.expect(isinstance(response, web.Response), "an error renderer gives a Response", response)
                promise = f"{type(error).__name__} {'with' if each else 'without'} a request is {status}"
                self.expect_equal(response.status, status, promise)

    async def test_each_error_has_a_response_of_its_own(self) -> None:
        """A response is used once."""
        app = self.make_app()
        render = self.make_renderer(app)
        first, second = [render(RuntimeError(_SECRET), None) for _ in range(2)]
        self.expect(first is not second, "each error has a new response")
        async with self.serve(app) as client:
            for _ in range(3):
                async with client.get("/") as answer:
                    self.expect_equal(answer.status, 500, "one error after the other is rendered")

    async def test_no_error_breaks_it(self) -> None:
        """An error's text may be anything, and the request too."""
        app = self.make_app()
        render = self.make_renderer(app)
        headers = {"Accept": 'text/html;q="<script>", ;;;,*/*;q=nan', "User-Agent": "\udcff"}
        request = make_mocked_request("GET", "/<script>alert(1)</script>", headers, app=app)
        for error in (ValueError("\udcff\x00<script>"), _Unprintable(), KeyError(), ExceptionGroup("g", [OSError()])):
            try:
                response = render(error, request)
            except Exception as raised:
                promise = "a renderer renders every error and raises none"
                raise AssertionError(self.describe(promise, raised)) from raised
            body = response.body if isinstance(response.body, bytes) else b""
            self.expect(b"<script>" not in body, "what came from a peer is not repeated as it is", body)


class _Unprintable(Exception):  # noqa: N818  # not one that anybody should see
    def __str__(self) -> str:
        raise RuntimeError("no words")


class _Rendering:
    """A plugin with one error renderer."""

    def __init__(self, make: Callable[[web.Application], Callable[[BaseException, Any], web.Response]]) -> None:
        self._make = make

    @hookimpl
    def corelet_make_error_renderer(self, app: Any) -> Callable[[BaseException, Any], web.Response]:
        return self._make(app)


async def _fail(request: web.Request) -> web.Response:
    raise RuntimeError(_SECRET)
