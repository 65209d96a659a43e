"""What every form reader must do, as tests that its author runs."""

from __future__ import annotations

import asyncio
import contextlib
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, Final

from corelet import StreamReader, hookimpl, web
from corelet.abc import FormReader

from .conformance import Conformance
from .mocked_request import make_mocked_request

_FIELDS: Final = [
    ("name", "Ann"),
    ("tag", "a"),
    ("tag", "b"),
    ("empty", ""),
    ("words", "one & two = 3 + 4; 100% \"quoted\" 'so'\t\\"),
    ("language", "Füße, 漢字, 😀"),
    ("lines", "one\r\ntwo\r\n"),
]


class FormReaderConformance(Conformance):
    """Test a form reader: ``abc.FormReader``, as ``request.post()`` uses it.

    Forms of the tests have text fields only, which any media type of forms can hold; names are of ASCII.
    """

    port = "a form reader"

    @property
    @abstractmethod
    def media_type(self) -> str:
        """What it is registered for, such as ``application/x-www-form-urlencoded``."""

    @abstractmethod
    def make_reader(self) -> FormReader:
        """Make the reader."""

    @abstractmethod
    def make_body(self, fields: Sequence[tuple[str, str]]) -> tuple[str, bytes]:
        """Write a form as peers do: the value of Content-Type, and the body."""

    def make_app(self, **kwargs: Any) -> web.Application:
        """Make an application that answers by the fields that ``request.post()`` gives, as JSON."""

        async def tell(request: web.Request) -> web.Response:
            return web.json_response([[name, value] for name, value in (await request.post()).items()])

        return web.Application(handler=tell, plugins=[_Registering(self.media_type, self.make_reader())], **kwargs)

    def start_post(
        self, content_type: str, stream: StreamReader, *, app: web.Application | None = None, **kwargs: Any
    ) -> asyncio.Task[list[tuple[str, Any]]]:
        """Begin to read a form from a stream, without a socket."""
        app = self.make_app() if app is None else app
        app.freeze()
        headers = {"Content-Type": content_type, "Transfer-Encoding": "chunked"}
        request = make_mocked_request("POST", "/", headers, app=app, payload=stream, **kwargs)

        async def post() -> list[tuple[str, Any]]:
            return list((await request.post()).items())

        return asyncio.ensure_future(post())

    async def read_pieces(self, content_type: str, pieces: Iterable[bytes], **kwargs: Any) -> list[tuple[str, Any]]:
        """Read a form that comes in pieces, each when the one before has been taken."""
        stream = StreamReader(None)
        reading = self.start_post(content_type, stream, **kwargs)
        for piece in pieces:
            await asyncio.sleep(0)
            stream.feed_data(piece)
        stream.feed_eof()
        async with self.expect_end("reading ends with the body"):
            return await reading

    async def test_fields_come_as_they_were_sent(self) -> None:
        """In order, with all values of a name, over a socket."""
        content_type, body = self.make_body(_FIELDS)
        async with (
            self.serve(self.make_app()) as client,
            client.post("/", data=body, headers={"Content-Type": content_type}) as answer,
        ):
            self.expect_equal(answer.status, 200, "a form is read")
            found = [(name, value) for name, value in await answer.json()]
        self.expect_equal(found, _FIELDS, "fields come as they were sent")

    async def test_a_form_may_be_empty(self) -> None:
        """It has no fields then."""
        content_type, body = self.make_body([])
        self.expect_equal(await self.read_pieces(content_type, [body]), [], "a form without fields has none")

    async def test_a_form_is_the_same_however_it_is_cut(self) -> None:
        """At every byte, and into single ones."""
        content_type, body = self.make_body(_FIELDS)
        app = self.make_app()
        cuts = [[body[:place], body[place:]] for place in range(len(body) + 1)]
        for pieces in [*cuts, [body[place : place + 1] for place in range(len(body))]]:
            found = await self.read_pieces(content_type, pieces, app=app)
            promise = f"a form cut before byte {len(pieces[0])} of {len(body)} is the same"
            self.expect_equal(found, _FIELDS, promise)

    async def test_too_many_bytes_are_413(self) -> None:
        """``client_max_size`` bounds the form, whether or not its size is known before."""
        content_type, body = self.make_body([("text", "x" * 5000)])
        found = await self.read_pieces(content_type, [body], client_max_size=len(body))
        self.expect_equal(found, [("text", "x" * 5000)], "a form of client_max_size bytes is read")
        with self.expect_error(web.HTTPRequestEntityTooLarge, "a form of more than client_max_size bytes is refused"):
            await self.read_pieces(content_type, [body], client_max_size=len(body) - 1)
        async with self.serve(self.make_app(client_max_size=len(body) - 1)) as client:
            for data in (body, _give_pieces(body)):
                async with client.post("/", data=data, headers={"Content-Type": content_type}) as answer:
                    self.expect_equal(answer.status, 413, "a form that is too large is answered by 413")

    async def test_a_form_without_end_is_refused_on_the_way(self) -> None:
        """Not when all of it has come."""
        content_type, body = self.make_body([("text", "x" * 200_000)])
        stream = StreamReader(None)
        reading = self.start_post(content_type, stream, client_max_size=10_000)
        await asyncio.sleep(0)
        stream.feed_data(body[:100_000])
        async with self.expect_end("a form that is too large is refused before its end has come"):
            with self.expect_error(web.HTTPRequestEntityTooLarge, "a form that is too large is refused"):
                await reading

    async def test_too_many_fields_are_413(self) -> None:
        """``client_max_fields`` bounds their number."""
        content_type, body = self.make_body([("n", "")] * 50)
        found = await self.read_pieces(content_type, [body], client_max_fields=50)
        self.expect_equal(len(found), 50, "a form of client_max_fields fields is read")
        with self.expect_error(web.HTTPRequestEntityTooLarge, "a form of more than client_max_fields is refused"):
            await self.read_pieces(content_type, [body], client_max_fields=49)

    async def test_no_body_is_an_error_of_the_servers(self) -> None:
        """What is cut short, damaged or something else is a form, or an error for the peer."""
        content_type, body = self.make_body(_FIELDS)
        app = self.make_app()
        bodies = [body[:end] for end in range(0, len(body), 3)]
        bodies += [bytes(body[:place] + b"\xff\0" + body[place + 2 :]) for place in range(0, len(body), 7)]
        bodies += [b"\0" * 100, b"\r\n" * 100, b"--", bytes(range(256))]
        for each in bodies:
            await self._read_without_error(content_type, each, app)
        media_type = content_type.partition(";")[0]
        for each_type in (media_type, f"{media_type}; charset=nonsense", f"{media_type}; boundary=", f"{media_type};="):
            await self._read_without_error(each_type, body, app)

    async def _read_without_error(self, content_type: str, body: bytes, app: web.Application) -> None:
        try:
            await self.read_pieces(content_type, [body], app=app)
        except web.HTTPException as error:
            self.expect(error.status < 500, f"{body[:40]!r} as {content_type} is an error of the peer's", error)
        except web.RequestPayloadError:
            return
        except Exception as error:
            promise = "what can't be read is an HTTPException or a RequestPayloadError"
            raise AssertionError(f"{self.describe(promise, error)} for {body[:40]!r} as {content_type}") from error

    async def test_a_peer_that_goes_away_ends_it(self) -> None:
        """Half a form is never taken for a whole one."""
        content_type, body = self.make_body(_FIELDS)
        stream = StreamReader(None)
        reading = self.start_post(content_type, stream)
        await asyncio.sleep(0)
        stream.feed_data(body[: len(body) // 2])
        await asyncio.sleep(0)
        stream.set_exception(web.RequestPayloadError("the peer has gone"))
        async with self.expect_end("reading ends when the peer goes away"):
            with self.expect_error(web.RequestPayloadError, "the error of the stream is raised"):
                await reading

    async def test_reading_can_be_cancelled(self) -> None:
        """And the next form is read as ever."""
        content_type, body = self.make_body(_FIELDS)
        app, stream = self.make_app(), StreamReader(None)
        reading = self.start_post(content_type, stream, app=app)
        await asyncio.sleep(0)
        stream.feed_data(body[: len(body) // 2])
        await asyncio.sleep(0)
        reading.cancel()
        async with self.expect_end("reading that is cancelled ends"):
            with contextlib.suppress(asyncio.CancelledError):
                await reading
        self.expect(reading.cancelled(), "CancelledError goes through")
        found = await self.read_pieces(content_type, [body], app=app)
        self.expect_equal(found, _FIELDS, "a form after one that was cancelled is read")

    async def test_forms_do_not_mix(self) -> None:
        """One reader reads many forms at once."""
        app = self.make_app()
        forms = [[("n", str(number)), ("text", "x" * (40 + number))] for number in range(5)]
        sent = [self.make_body(fields) for fields in forms]
        streams = [StreamReader(None) for _ in forms]
        readings = [
            self.start_post(content_type, stream, app=app)
            for (content_type, _), stream in zip(sent, streams, strict=True)
        ]
        for place in range(max(len(body) for _, body in sent)):
            for (_, body), stream in zip(sent, streams, strict=True):
                stream.feed_data(body[place : place + 1])
            await asyncio.sleep(0)
        for stream in streams:
            stream.feed_eof()
        async with self.expect_end("forms at once are read"):
            found = await asyncio.gather(*readings)
        self.expect_equal(found, forms, "forms that are read beside each other come as they were sent")


class _Registering:
    """A plugin that registers one form reader."""

    def __init__(self, media_type: str, reader: FormReader) -> None:
        self._media_type = media_type
        self._reader = reader

    @hookimpl
    def corelet_register_form_readers(self, readers: Any) -> None:
        readers.add(self._media_type, self._reader)


async def _give_pieces(body: bytes) -> Any:
    for place in range(0, len(body), 1000):
        yield body[place : place + 1000]
