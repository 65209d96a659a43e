"""What every payload must do, as tests that its author runs."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from multidict import CIMultiDict

from corelet import ClientError, Payload, web
from corelet.abc import AbstractStreamWriter

from .conformance import Conformance


class PayloadConformance(Conformance):
    """Test a payload: a ``corelet.Payload``, which writes itself as the body of a message."""

    port = "a payload"

    @abstractmethod
    def make_payload(self) -> Payload:
        """Make a payload that was not written yet; each time with the same content, of 10 bytes at least."""

    @property
    @abstractmethod
    def content(self) -> bytes:
        """The bytes that it writes."""

    async def test_it_writes_its_content(self) -> None:
        """All of it, whether the length is known or not; and not more than ``size`` says."""
        for length in (None, len(self.content)):
            payload, writer = self.make_payload(), _Collecting()
            size = payload.size
            self.expect(size in (None, len(self.content)), "size is the number of bytes, or None", size)
            await payload.write_with_length(writer, length)
            self.expect_equal(bytes(writer.written), self.content, "write_with_length() writes the content")
            await payload.close()
        payload, writer = self.make_payload(), _Collecting()
        await payload.write(writer)
        self.expect_equal(bytes(writer.written), self.content, "write() writes the content")
        await payload.close()

    async def test_a_shorter_length_bounds_it(self) -> None:
        """``write_with_length`` writes that many bytes, or all where it can't stop early."""
        payload, writer = self.make_payload(), _Collecting()
        await payload.write_with_length(writer, 5)
        written = bytes(writer.written)
        self.expect(written in (self.content[:5], self.content), "it writes the first bytes, or all", written)
        await payload.close()

    async def test_it_is_written_again_or_says_that_it_can_not_be(self) -> None:
        """A redirect sends a body twice: half of one, or none, would be a silent loss."""
        payload = self.make_payload()
        self.expect(not payload.consumed, "a new payload is not consumed")
        await payload.write(_Collecting())
        writer = _Collecting()
        if payload.consumed:
            with self.expect_error(RuntimeError, "a payload that is consumed can't be written again"):
                await payload.write(writer)
        else:
            await payload.write(writer)
            self.expect_equal(bytes(writer.written), self.content, "a payload that is not consumed is written again")
        await payload.close()

    async def test_its_content_can_be_had(self) -> None:
        """As bytes; and as text, unless it comes bit by bit."""
        payload = self.make_payload()
        try:
            payload.decode(errors="replace")
        except TypeError:
            await payload.close()
            return
        self.expect_equal(await payload.as_bytes(), self.content, "as_bytes() gives the content")
        await payload.close()

    async def test_it_has_a_media_type(self) -> None:
        """In its headers, where a message takes it from."""
        payload = self.make_payload()
        content_type = payload.headers.get("Content-Type")
        self.expect(content_type is None or "/" in content_type, "Content-Type is a media type", content_type)
        self.expect("/" in payload.content_type, "content_type is a media type", payload.content_type)
        await payload.close()

    async def test_closing_is_no_error(self) -> None:
        """Unwritten, written, and once more."""
        payload = self.make_payload()
        await payload.close()
        payload = self.make_payload()
        await payload.write(_Collecting())
        await payload.close()
        await payload.close()

    async def test_a_server_and_a_client_send_it(self) -> None:
        """Framed by Content-Length where ``size`` is known, else in chunks."""

        async def answer(request: web.Request) -> web.Response:
            if request.method == "POST":
                return web.Response(body=await request.read())
            return web.Response(body=self.make_payload())

        try:
            async with self.serve(web.Application(handler=answer, plugins=[])) as client:
                async with client.get("/") as response:
                    self.expect_equal(await response.read(), self.content, "a response sends it")
                async with client.head("/") as response:
                    self.expect_equal(await response.read(), b"", "a response to HEAD sends none of it")
                async with client.post("/", data=self.make_payload()) as response:
                    self.expect_equal(await response.read(), self.content, "a request sends it")
        except ClientError as error:
            raise AssertionError(self.describe("a server and a client send it", error)) from error


class _Collecting(AbstractStreamWriter):
    """A writer that keeps what is written."""

    def __init__(self) -> None:
        self.written = bytearray()

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        self.written += chunk

    async def write_eof(self, chunk: bytes = b"") -> None:
        self.written += chunk

    async def drain(self) -> None:
        pass

    async def write_headers(self, status_line: str, headers: CIMultiDict[Any]) -> None:
        pass

    def enable_chunking(self) -> None:
        pass
