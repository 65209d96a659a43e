"""Conformance tests find what is wrong: each port once or more as somebody could get it wrong."""

from __future__ import annotations

import asyncio
import gzip
import logging
import warnings
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from yarl import URL

import corelet
from corelet import ContentDecodingError, Payload, hookimpl, web
from corelet.abc import (
    AbstractAccessLogger,
    AbstractCookieJar,
    AbstractDecoder,
    AbstractEncoder,
    AbstractMatchInfo,
    AbstractResolver,
    AbstractRouter,
    ContentCoding,
    FormReader,
    Handler,
    Instrument,
    NegotiatedConnection,
)
from corelet.access_logger import AccessLogger
from corelet.test_utils import (
    AccessLoggerConformance,
    Conformance,
    ConnectorConformance,
    ContentCodingConformance,
    CookieJarConformance,
    ErrorRendererConformance,
    FormReaderConformance,
    InstrumentConformance,
    MountConformance,
    PayloadConformance,
    ProtocolConformance,
    RawTestServer,
    ResolverConformance,
    RouterConformance,
    SessionStorageConformance,
)
from corelet_compression.zlib_coding import DeflateCoding, GzipCoding
from tests.kernel.test_negotiation import Shout
from tests.testing.test_conformance import TestMultipartFormReader as Multipart

#: What a conformance class has to find -> the names of its tests that fail, without "test_".
BROKEN: dict[type[Conformance], tuple[str, ...]] = {}


def fails(*checks: str) -> Callable[[type[Conformance]], type[Conformance]]:
    """Say which tests fail for a class."""

    def note(conformance: type[Conformance]) -> type[Conformance]:
        BROKEN[conformance] = checks
        return conformance

    return note


@pytest.mark.parametrize("conformance", BROKEN_CASES := [])
async def test_what_is_broken_fails(conformance: type[Conformance]) -> None:
    instance = conformance()
    instance.patience_seconds = 0.2
    for check in BROKEN[conformance]:
        with pytest.raises(AssertionError, match=f"{conformance.port} is expected to hold to this: "):
            await getattr(instance, f"test_{check}")()


@pytest.fixture(autouse=True)
def leaves_no_error() -> None:
    """Take the place of the check of all tests: what is broken may log errors."""


@pytest.fixture(autouse=True)
def leaves_nothing() -> None:
    """Take the place of the check of all tests: what is broken may leave anything."""


def test_every_class_has_something_broken() -> None:
    names = [name for name in dir(corelet.test_utils) if name.endswith("Conformance") and name != "Conformance"]
    classes = {getattr(corelet.test_utils, name) for name in names}
    assert classes == {base for each in BROKEN for base in each.__mro__ if base in classes}
    assert len(classes) == 13


# Routers


class Router(RouterConformance):
    Kind: type[AbstractRouter]

    def make_router(self) -> AbstractRouter:
        return self.Kind()


@fails("every_request_has_a_match_of_its_own")
class SharingMatches(Router):
    class Kind(web.UrlDispatcher):
        def __init__(self) -> None:
            super().__init__()
            self.known: dict[Any, Any] = {}

        def find(self, request: Any) -> AbstractMatchInfo | None:
            return self.known.setdefault((request.method, request.match_path), super().find(request))


@fails("what_is_unknown_is_404_and_middlewares_see_it", "no_path_breaks_it")
class RaisingRouter(Router):
    class Kind(web.UrlDispatcher):
        def find(self, request: Any) -> AbstractMatchInfo | None:
            match = super().find(request)
            if match is not None and match.http_exception is not None:
                raise match.http_exception
            return match


@fails("each_refusal_is_its_own_requests")
class OneRefusalForAll(Router):
    class Kind(web.UrlDispatcher):
        def find(self, request: Any) -> AbstractMatchInfo | None:
            match = super().find(request)
            assert match is not None
            return Refusal(match) if match.http_exception is not None else match


class Refusal:
    """A match whose handler raises its own error, whoever asks."""

    def __init__(self, match: AbstractMatchInfo) -> None:
        self.match = match

    def __getattr__(self, name: str) -> Any:
        return getattr(self.match, name)

    async def handler(self, request: web.Request) -> web.Response:
        raise self.match.http_exception


@fails("another_method_is_405_with_the_methods_that_answer")
class ForgettingHead(Router):
    class Kind(web.UrlDispatcher):
        def find(self, request: Any) -> AbstractMatchInfo | None:
            if request.method == "PATCH":
                request = SimpleNamespace(method="PUT", match_path=request.match_path)
            return super().find(request)


@fails("methods_differ_by_case", "find_and_resolve_agree")
class LooseMethods(Router):
    class Kind(web.UrlDispatcher):
        def find(self, request: Any) -> AbstractMatchInfo | None:
            method = "GET" if request.method in ("get", "PUT") else request.method
            return super().find(SimpleNamespace(method=method, match_path=request.match_path))


@fails("the_normalised_path_is_matched", "a_route_is_one_object_for_all_its_requests")
class RawPaths(Router):
    class Kind(web.UrlDispatcher):
        def find(self, request: Any) -> AbstractMatchInfo | None:
            return super().find(SimpleNamespace(method=request.method, match_path=request.raw_path.replace("%", "~")))

        def routes(self) -> Any:
            return ()


@fails("only_the_whole_path_matches")
class LoosePaths(Router):
    class Kind(web.UrlDispatcher):
        def find(self, request: Any) -> AbstractMatchInfo | None:
            match = super().find(request)
            assert match is not None
            if match.http_exception is None or not request.match_path.startswith("/users"):
                return match
            return super().find(SimpleNamespace(method=request.method, match_path="/users"))


@fails("a_frozen_router_takes_no_more_routes", "a_prefix_moves_all_routes")
class NeverFrozen(Router):
    class Kind(web.UrlDispatcher):
        def freeze(self) -> None:
            pass

        def add_prefix(self, prefix: str) -> None:
            for resource in self.resources():
                resource.add_prefix(prefix)


# Mounts


class _HalfMounting:
    """Hands all below a prefix to the inner application's handlers, and forgets the application itself."""

    @hookimpl
    def corelet_mount(self, app: web.Application, where: str, subapp: web.Application) -> Any:
        async def enter(request: web.Request) -> Any:
            inner = request.clone(rel_url=str(request.rel_url).removeprefix(where) or "/")
            match = subapp.router.find(inner)
            return await match.handler(inner)

        return app.router.add_route("*", f"{where}{{rest:.*}}", enter)


@fails(
    "every_application_on_the_way_has_its_part",
    "what_only_begins_like_the_prefix_is_not_below_it",
    "responses_are_prepared_by_all_from_the_outside_in",
    "two_applications_stand_beside_each_other",
)
class Forwarding(MountConformance):
    def make_app(self, **kwargs: Any) -> web.Application:
        return web.Application(plugins=["routing", _HalfMounting()], **kwargs)


# Content codings


class Coding(ContentCodingConformance):
    decoder: type[AbstractDecoder]
    encoder: type[AbstractEncoder] | None = None

    def make_coding(self) -> ContentCoding:
        decoder, encoder = self.decoder, self.encoder

        class Broken(DeflateCoding):
            def make_decoder(self, max_bytes: int) -> AbstractDecoder:
                return decoder()

            def make_encoder(self, level: int | None = None) -> AbstractEncoder:
                return super().make_encoder(level) if encoder is None else encoder()

        return Broken()


class Unbounded(AbstractDecoder):
    """Gives all at once, and never minds the end."""

    has_more = False

    def __init__(self) -> None:
        self.stream = zlib.decompressobj()

    def decode(self, data: bytes) -> bytes:
        return self.stream.decompress(data)

    def finish(self) -> None:
        pass


@fails("a_bomb_is_decoded_bit_by_bit", "content_cut_short_is_an_error", "something_else_is_an_error")
class UnboundedCoding(Coding):
    decoder = Unbounded


class Hoarding(Unbounded):
    """Decodes all of what it has each time."""

    has_more = False

    def __init__(self) -> None:
        self.coded = b""
        self.given = 0

    def decode(self, data: bytes) -> bytes:
        self.coded += data
        try:
            content = zlib.decompressobj().decompress(self.coded)
        except zlib.error as error:
            raise ContentDecodingError(str(error)) from error
        given, self.given = self.given, len(content)
        return content[given:]


@fails("decoding_takes_linear_time", "a_bomb_is_decoded_bit_by_bit")
class HoardingCoding(Coding):
    decoder = Hoarding


class NeverFlushing(AbstractEncoder):
    def __init__(self) -> None:
        self.stream = zlib.compressobj()

    def encode(self, data: bytes) -> bytes:
        return self.stream.compress(data)

    def flush(self) -> bytes:
        return b""

    def finish(self) -> bytes:
        return self.stream.flush()


@fails("what_was_flushed_can_be_decoded", "an_application_and_a_client_use_it")
class NeverFlushingCoding(Coding):
    decoder = Unbounded
    encoder = NeverFlushing


@fails("the_name_can_stand_in_a_field", "levels_are_checked", "bodies_do_not_mix")
class SharingCoding(ContentCodingConformance):
    def make_coding(self) -> ContentCoding:
        class Sharing(GzipCoding):
            name = "My GZip"

            def __init__(self) -> None:
                self.encoder = Collecting()

            def make_encoder(self, level: int | None = None) -> AbstractEncoder:
                return self.encoder

        return Sharing()


class Collecting(AbstractEncoder):
    def __init__(self) -> None:
        self.content = b""

    def encode(self, data: bytes) -> bytes:
        self.content += data
        return b""

    def flush(self) -> bytes:
        return b""

    def finish(self) -> bytes:
        content, self.content = self.content, b""
        return gzip.compress(content)


# Form readers


class Reader(FormReaderConformance):
    media_type = "multipart/form-data"
    make_body = Multipart.make_body


@fails(
    "too_many_bytes_are_413",
    "too_many_fields_are_413",
    "a_form_without_end_is_refused_on_the_way",
    "no_body_is_an_error_of_the_servers",
)
class Greedy(Reader):
    def make_reader(self) -> FormReader:
        class Splitting(FormReader):
            async def read(self, request: Any) -> Any:
                body = b"".join([piece async for piece in request.content.iter_any()])
                parts = body.split(b"--edge")[1:-1]
                fields = [part.partition(b"\r\n\r\n") for part in parts]
                return [(head.split(b'"')[1].decode(), value[:-2].decode()) for head, _, value in fields]

        return Splitting()


@fails("forms_do_not_mix", "a_peer_that_goes_away_ends_it", "reading_can_be_cancelled")
class Remembering(Reader):
    def make_reader(self) -> FormReader:
        class Keeping(FormReader):
            def __init__(self) -> None:
                self.body = b""

            async def read(self, request: Any) -> Any:
                try:
                    async for piece in request.content.iter_any():
                        self.body += piece
                except BaseException:  # noqa: BLE001  # as one should not
                    return [("half", "a form")]
                return [("n", self.body.decode())]

        return Keeping()


# Storages of sessions


@fails("of_many_that_replace_one_record_one_succeeds", "what_is_not_as_expected_is_not_replaced")
class Replacing(SessionStorageConformance):
    async def make_storage(self) -> web.AbstractStorage:
        class Storage(web.InMemoryStorage):
            async def save(self, token: Any, record: bytes, ttl: int, *, expected: bytes | None = None) -> str:
                found = None if token is None else await self.load(token)
                return await super().save(token, record, ttl, expected=found)

        return Storage()


@fails("what_has_expired_is_gone", "tokens_are_made_of_what_a_cookie_can_hold")
class Everlasting(SessionStorageConformance):
    expiry_seconds = 1.1

    async def make_storage(self) -> web.AbstractStorage:
        class Storage(web.InMemoryStorage):
            count = 0

            async def save(self, token: Any, record: bytes, ttl: int, *, expected: bytes | None = None) -> str:
                self.count = (self.count + 1) % 40
                kept = token or f"session {self.count}"
                await self.delete(kept)
                return await super().save(kept, record, 10**6)

        return Storage()


@fails("a_token_that_is_almost_right_finds_nothing")
class Unsigned(SessionStorageConformance):
    async def make_storage(self) -> web.AbstractStorage:
        with warnings.catch_warnings(action="ignore"):
            return web.SimpleCookieStorage()


@fails("a_token_that_is_almost_right_finds_nothing")
class CaseBlind(SessionStorageConformance):
    """As a database is whose collation is."""

    async def make_storage(self) -> web.AbstractStorage:
        class Storage(web.InMemoryStorage):
            @staticmethod
            def make_token() -> str:
                return web.InMemoryStorage.make_token().lower()

            async def load(self, token: str) -> bytes | None:
                return await super().load(token.lower())

        return Storage()


# Connectors


class Connector(ConnectorConformance):
    Kind: type[corelet.TCPConnector] = corelet.TCPConnector
    settings: ClassVar[dict[str, Any]] = {}

    def make_connector(self, **kwargs: Any) -> corelet.BaseConnector:
        return self.Kind(**{**kwargs, **self.settings})


@fails(
    "the_limit_holds_and_the_first_comes_first",
    "waiting_has_its_time",
    "an_idle_connection_has_its_time",
)
class Unlimited(Connector):
    settings: ClassVar[dict[str, Any]] = {"limit": 0, "keepalive_timeout": None}


@fails("who_is_cancelled_takes_no_place")
class Shielding(Connector):
    class Kind(corelet.TCPConnector):
        async def connect(self, request: Any, *, fresh: bool = False) -> Any:
            return await asyncio.shield(super().connect(request, fresh=fresh))


@fails("an_idle_connection_is_used_again", "sessions_share_it")
class Wasteful(Connector):
    settings: ClassVar[dict[str, Any]] = {"force_close": True}


@fails("nobody_there_is_an_error")
class Vague(Connector):
    class Kind(corelet.TCPConnector):
        async def open_connection(self, request: Any) -> Any:
            try:
                return await super().open_connection(request)
            except OSError:
                raise ValueError("it does not work") from None


@fails("bodies_go_both_ways")
class Elsewhere(Connector):
    @asynccontextmanager
    async def listen(self, handler: Handler) -> AsyncIterator[URL]:
        async def lose(request: web.BaseRequest) -> web.Response:
            await request.read()
            return web.Response(text="lost")

        async with RawTestServer(lose) as server:
            yield server.make_url("/")


# Smaller ones


@fails("no_peer_breaks_a_line")
class Plain(AccessLoggerConformance):
    def make_logger(self, logger: logging.Logger) -> AbstractAccessLogger:
        class Naive(AccessLogger):
            def log(self, request: Any, response: Any, time: float) -> None:
                self.logger.info("%s %s", request.headers.get("User-Agent"), response.status)

        return Naive(logger)


@fails("each_answer_has_its_line", "what_is_not_enabled_writes_nothing")
class Twice(AccessLoggerConformance):
    def make_logger(self, logger: logging.Logger) -> AbstractAccessLogger:
        class Doubling(AccessLogger):
            enabled = 1

            def log(self, request: Any, response: Any, time: float) -> None:
                super().log(request, response, time)
                super().log(request, response, time)

        return Doubling(logger)


@fails("a_handlers_error_is_500_without_its_words", "the_status_is_the_errors", "no_error_breaks_it")
class Talkative(ErrorRendererConformance):
    def make_renderer(self, app: web.Application) -> Callable[[BaseException, Any], web.Response]:
        return lambda error, request: web.Response(text=f"{request and request.path}: {error}", status=500)


@fails("each_error_has_a_response_of_its_own", "what_the_parser_refuses_has_no_request")
class Thrifty(ErrorRendererConformance):
    def make_renderer(self, app: web.Application) -> Callable[[BaseException, Any], web.Response]:
        response = web.Response(text="sorry", status=500)
        return lambda error, request: response


@fails("nothing_that_happens_breaks_it")
class Careless(InstrumentConformance):
    def make_instrument(self) -> Instrument:
        class Watching(Instrument):
            def request_finished(self, request: Any, response: Any) -> None:
                response.status.bit_length()

            def request_refused(self, status: int, reason: str) -> None:
                raise ValueError(reason)

        return Watching()


@fails("it_overrides_methods_that_are_called")
class Unawaited(InstrumentConformance):
    def make_instrument(self) -> Instrument:
        class Watching(Instrument):
            async def connection_lost(self, connection: Any, exc: Any) -> None:
                pass

        return Watching()


class Protocol(ProtocolConformance):
    request = b"wake up\n"
    answer = b"WAKE UP\n"
    Kind: type[Shout]

    def make_connection(self, server: web.Server) -> NegotiatedConnection:
        return self.Kind(server)


@fails("the_server_and_instruments_know_it")
class Unknown(Protocol):
    class Kind(Shout):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport


@fails("a_peer_is_answered", "no_peer_breaks_it")
class Hasty(Protocol):
    class Kind(Shout):
        def data_received(self, data: bytes) -> None:
            self.transport.write({b"wake up\n": b"WAKE UP\n"}[data])


@fails("an_idle_one_ends_with_its_server", "it_can_be_ended_at_once")
class Clinging(Protocol):
    class Kind(Shout):
        is_idle = False

        def expire(self) -> None:
            pass


@fails(
    "a_known_host_has_addresses",
    "the_defaults_are_ipv4_and_no_port",
    "a_host_without_an_address_is_an_os_error",
    "lookups_go_beside_each_other",
)
class Guessing(ResolverConformance):
    def make_resolver(self) -> AbstractResolver:
        class Resolver(AbstractResolver):
            async def resolve(self, host: str, port: int = 0, family: int = 0) -> Any:
                address = {"hostname": host, "host": "::1", "port": 80, "family": 10, "proto": 0, "flags": 0}
                return [] if ".." in host else [address]

            async def close(self) -> None:
                pass

        return Resolver()


@fails(
    "a_cookie_goes_back_to_its_host_only",
    "a_path_is_for_all_below_it",
    "secure_cookies_need_tls",
    "cookies_end",
)
class Generous(CookieJarConformance):
    def make_jar(self) -> AbstractCookieJar:
        class Jar(corelet.CookieJar):
            def filter_cookies(self, request_url: Any = None) -> Any:
                return {morsel.key: morsel for morsel in self}

            def update_cookies_from_headers(self, headers: Sequence[str], response_url: Any) -> None:
                for header in headers:
                    name, _, value = header.partition(";")[0].partition("=")
                    self.update_cookies({name: value}, URL())

        return Jar()


@fails("it_writes_its_content", "it_is_written_again_or_says_that_it_can_not_be", "a_server_and_a_client_send_it")
class Spent(PayloadConformance):
    content = b"ten bytes."

    def make_payload(self) -> Payload:
        class Once(Payload):
            size = 11

            def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
                raise TypeError

            async def write(self, writer: Any) -> None:
                value, self._value = self._value, b""
                await writer.write(value)

        return Once(self.content)


BROKEN_CASES += BROKEN
