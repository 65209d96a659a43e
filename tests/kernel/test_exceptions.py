"""HTTPException and the classes of all statuses."""

from __future__ import annotations

import inspect
import logging
import timeit
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web as peer_web
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from corelet import exceptions
from corelet.exceptions import (
    HTTPClientError,
    HTTPError,
    HTTPException,
    HTTPForbidden,
    HTTPFound,
    HTTPMethodNotAllowed,
    HTTPMove,
    HTTPNoContent,
    HTTPNotFound,
    HTTPRedirection,
    HTTPRequestEntityTooLarge,
    HTTPServerError,
    HTTPSuccessful,
    HTTPUnavailableForLegalReasons,
)
from corelet.response import Response

if TYPE_CHECKING:
    from tests.conftest import Connect, Serve

PEER_NAMES = [name for name in dir(peer_web) if name.startswith("HTTP") and inspect.isclass(getattr(peer_web, name))]
CLASSES: list[type[HTTPException]] = [
    value
    for value in vars(exceptions).values()
    if inspect.isclass(value) and issubclass(value, HTTPException) and value.status_code != -1
]


def make(kind: type[HTTPException], **kwargs: Any) -> HTTPException:
    """Make an exception of any class, whatever else it wants to know."""
    wanted: dict[type[HTTPException], dict[str, Any]] = {
        HTTPMove: {"location": "/there"},
        HTTPMethodNotAllowed: {"method": "PUT", "allowed_methods": ["GET"]},
        HTTPRequestEntityTooLarge: {"max_size": 10, "actual_size": 20},
        HTTPUnavailableForLegalReasons: {"link": "https://example.com/law"},
    }
    for base, arguments in wanted.items():
        if issubclass(kind, base):
            return kind(**arguments, **kwargs)
    return kind(**kwargs)


# Classes


@pytest.mark.parametrize("name", PEER_NAMES)
def test_every_class_of_the_peer_is_here_with_its_status_and_its_bases(name: str) -> None:
    ours, theirs = getattr(exceptions, name), getattr(peer_web, name)
    assert ours.status_code == theirs.status_code
    assert ours.empty_body == theirs.empty_body
    bases = [base.__name__ for base in theirs.__mro__ if base.__name__ in PEER_NAMES]
    assert [base.__name__ for base in ours.__mro__ if base.__name__ in PEER_NAMES] == bases


@pytest.mark.parametrize("name", PEER_NAMES)
def test_every_class_takes_what_the_peers_class_takes(name: str) -> None:
    ours, theirs = getattr(exceptions, name), getattr(peer_web, name)
    assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters)


@pytest.mark.parametrize("kind", CLASSES)
def test_a_class_is_of_the_family_of_its_status(kind: type[HTTPException]) -> None:
    families = {2: HTTPSuccessful, 3: HTTPRedirection, 4: HTTPClientError, 5: HTTPServerError}
    assert issubclass(kind, families[kind.status_code // 100])
    assert issubclass(kind, HTTPError) == (kind.status_code >= 400)


@pytest.mark.parametrize("kind", CLASSES)
def test_an_exception_is_a_response_and_says_its_reason(kind: type[HTTPException]) -> None:
    exc = make(kind)
    assert isinstance(exc, Response)
    assert isinstance(exc, Exception)
    assert exc.status == kind.status_code
    assert str(exc) == exc.reason == HTTPStatus(kind.status_code).phrase
    with pytest.raises(kind):
        raise exc


@pytest.mark.parametrize("kind", [kind for kind in CLASSES if kind is not HTTPRequestEntityTooLarge])
def test_the_text_is_status_and_reason_unless_there_is_none(kind: type[HTTPException]) -> None:
    exc = make(kind)
    if kind.empty_body:
        assert exc.body is None
    else:
        assert exc.text == f"{exc.status}: {exc.reason}"
        assert (exc.content_type, exc.charset) == ("text/plain", "utf-8")


@pytest.mark.parametrize("kind", CLASSES)
def test_everything_can_be_given(kind: type[HTTPException]) -> None:
    exc = make(kind, reason="Because", text="<p>", content_type="text/html", headers={"X-A": "b"})
    assert (exc.reason, str(exc), exc.text, exc.content_type) == ("Because", "Because", "<p>", "text/html")
    assert exc.headers["X-A"] == "b"


@pytest.mark.parametrize("kind", CLASSES)
def test_a_body_may_be_given_instead_of_text(kind: type[HTTPException]) -> None:
    assert make(kind, body=b"\0").body == b"\0"
    assert make(kind, body=b"").body == b""


def test_a_reason_of_ones_own_stands_in_the_text_too() -> None:
    assert HTTPForbidden(reason="Go away").text == "403: Go away"


def test_a_class_of_ones_own_needs_only_a_status() -> None:
    class HTTPTeapot(HTTPClientError):  # noqa: N818  # named as its neighbours
        status_code = 418

    assert HTTPTeapot().text == "418: I'm a Teapot"


def test_a_status_that_nobody_has_registered_has_no_reason() -> None:
    class HTTPOwn(HTTPClientError):  # noqa: N818  # named as its neighbours
        status_code = 499

    assert (HTTPOwn().reason, HTTPOwn().text) == ("", "499: ")


def test_a_class_without_a_status_cannot_answer() -> None:
    with pytest.raises(ValueError, match="status is -1"):
        HTTPException()


def test_a_reason_that_would_start_a_field_is_refused() -> None:
    with pytest.raises(ValueError, match="reason"):
        HTTPNotFound(reason="Not\r\nX: y")


# Redirects


@pytest.mark.parametrize(
    ("location", "field"),
    [
        ("/a/b?c=d#e", "/a/b?c=d#e"),
        ("https://example.com:8080/a%2Fb%41", "https://example.com:8080/a%2Fb%41"),
        ("http://[::1]/", "http://[::1]/"),
        ("/x\r\nSet-Cookie: a=b", "/x%0D%0ASet-Cookie:%20a=b"),
        ("/a b", "/a%20b"),
        ("/\\evil.example", "/%5Cevil.example"),
        ('/"<>^`{|}\x7f\0', "/%22%3C%3E%5E%60%7B%7C%7D%7F%00"),
        ("/ä", "/%C3%A4"),
        (URL("/ä?b=c d"), "/%C3%A4?b=c+d"),
        (URL("http://bücher.example/"), "http://xn--bcher-kva.example/"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
    ],
)
def test_a_location_is_made_fit_for_its_field(location: str | URL, field: str) -> None:
    """a-015."""
    exc = HTTPFound(location)
    assert exc.headers["Location"] == field
    assert exc.location is location


@given(st.text(st.characters(blacklist_categories=["Cs"])), st.sampled_from(["/a", "a", "?", "http://a/", "//a/"]))
@example('"²', "/")
@example("\udcff", "/a")
def test_a_location_holds_nothing_that_could_end_a_field(rest: str, start: str) -> None:
    field = HTTPFound(start + rest).headers["Location"]
    assert field.isascii()
    assert field.isprintable()
    assert " " not in field


def test_a_host_that_cannot_be_one_is_refused() -> None:
    with pytest.raises(ValueError, match="NFKC"):
        HTTPFound("http://a\u2100/")  # "a/c" to IDNA


@pytest.mark.parametrize("location", ["", URL()])
def test_an_empty_location_is_refused(location: str | URL) -> None:
    with pytest.raises(ValueError, match="needs a location"):
        HTTPFound(location)


# Others with arguments


def test_405_lists_what_is_allowed() -> None:
    exc = HTTPMethodNotAllowed("put", (method for method in ("POST", "GET", "GET")))
    assert exc.method == "PUT"
    assert exc.allowed_methods == {"GET", "POST"}
    assert exc.headers["Allow"] == "GET,POST"


def test_405_may_allow_nothing() -> None:
    assert HTTPMethodNotAllowed("GET", ()).headers["Allow"] == ""


def test_413_says_how_much_is_read() -> None:
    assert HTTPRequestEntityTooLarge(10, 20).text == "Maximum request body size 10 exceeded, actual body size 20"
    assert HTTPRequestEntityTooLarge(10).text == "Maximum request body size 10 exceeded"
    assert (HTTPRequestEntityTooLarge(10, 20).max_size, HTTPRequestEntityTooLarge(10, 20).actual_size) == (10, 20)
    assert HTTPRequestEntityTooLarge(10, text="no").text == "no"


def test_451_links_who_blocks() -> None:
    exc = HTTPUnavailableForLegalReasons("https://example.com/a b>")
    assert exc.link == URL("https://example.com/a b>")
    assert exc.headers["Link"] == '<https://example.com/a%20b%3E>; rel="blocked-by"'


def test_451_may_link_nobody() -> None:
    exc = HTTPUnavailableForLegalReasons(None)
    assert exc.link is None
    assert "Link" not in exc.headers


# Over sockets


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("is_raised", [True, False])
async def test_every_class_answers_raised_and_returned(
    serve: Serve, connect: Connect, kind: type[HTTPException], is_raised: bool
) -> None:
    async def handler(request: Any) -> Response:
        exc = make(kind)
        if is_raised:
            raise exc
        return exc

    client = await connect(await serve(handler))
    for _ in range(2):  # the connection goes on
        answer = await client.get()
        assert answer.status == kind.status_code
        assert bool(answer.body) != kind.empty_body


async def test_cookies_and_fields_of_an_exception_are_sent(serve: Serve, connect: Connect) -> None:
    async def handler(request: Any) -> Response:
        exc = HTTPFound("/there", headers={"X-A": "b"})
        exc.set_cookie("seen", "1")
        raise exc

    answer = await (await connect(await serve(handler))).get()
    assert answer.field("Location") == "/there"
    assert answer.field("Set-Cookie") == "seen=1; Path=/"
    assert answer.field("X-A") == "b"


async def test_one_exception_for_two_requests_answers_the_first_and_is_an_error_for_the_second(
    serve: Serve, connect: Connect, expect_error_log: list[logging.LogRecord]
) -> None:
    kept = HTTPNotFound()

    async def handler(request: Any) -> Response:
        raise kept

    client = await connect(await serve(handler))
    assert (await client.get()).status == 404
    assert (await client.get()).status == 500
    assert "HTTPNotFound" in logging.Formatter().format(expect_error_log[0])


async def test_an_exception_may_be_raised_again_on_its_way_to_one_request(serve: Serve, connect: Connect) -> None:
    async def handler(request: Any) -> Response:
        try:
            try:
                raise HTTPNoContent
            except HTTPSuccessful as exc:
                raise exc from None
        except HTTPException as exc:
            return exc

    assert (await (await connect(await serve(handler))).get()).status == 204


RAISERS: list[Callable[[], HTTPException]] = [HTTPNotFound, lambda: HTTPNotFound(text="x"), lambda: HTTPFound("/")]


@pytest.mark.parametrize("make_one", RAISERS)
def test_an_exception_costs_no_more_than_some_responses(make_one: Callable[[], HTTPException]) -> None:
    costs = [min(timeit.repeat(make, number=500, repeat=5)) for make in (make_one, lambda: Response(text="x"))]
    assert costs[0] < 20 * costs[1]
