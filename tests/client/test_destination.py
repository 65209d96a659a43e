"""What requests have in common is never changed by one of them, and is kept for so many origins only."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict
from yarl import URL

import corelet
from corelet_client.destination import Destinations
from tests.client.conftest import serve_ok
from tests.client.test_request import fields_of, sent


async def test_a_request_tells_the_fields_that_were_sent(raw) -> None:
    server = await raw(serve_ok)
    async with corelet.ClientSession(headers={"X-A": "b"}) as session, session.get(server.url) as response:
        assert response.request_info.headers == fields_of(server.heads[0])
        assert list(response.request_info.headers)[:2] == ["Host", "X-A"]


async def test_what_one_request_changes_is_not_sent_with_the_next(raw, client) -> None:
    async def mark(request, send):
        request.headers["X-Mark"] = "yes"
        del request.headers["User-Agent"]
        return await send(request)

    server = await raw(serve_ok)
    _, plain, _ = await sent(server, client)
    _, marked, _ = await sent(server, client, middlewares=[mark])
    _, posted, _ = await sent(server, client, "POST")
    _, given, _ = await sent(server, client, headers={"Accept": "a/b"})
    _, again, _ = await sent(server, client)
    assert (marked["X-Mark"], "User-Agent" in marked) == ("yes", False)
    assert (posted["Content-Length"], given["Accept"]) == ("0", "a/b")
    assert list(again.items()) == list(plain.items())


async def test_a_session_takes_no_field_that_can_not_be_sent_unless_a_request_replaces_it(raw) -> None:
    server = await raw(serve_ok)
    async with corelet.ClientSession(headers={"X-A": "a\r\nX: y"}) as session:
        with pytest.raises(ValueError, match="control character"):
            await session.get(server.url)
        assert (await sent(server, session, headers={"X-A": "ok"}))[1]["X-A"] == "ok"
    assert server.connections == 1


async def test_a_session_that_promises_a_body_can_not_send_a_request_without_one(raw) -> None:
    server = await raw(serve_ok)
    async with corelet.ClientSession(headers={"Content-Length": "2"}) as session:
        with pytest.raises(ValueError, match="there is no body"):
            await session.get(server.url)
        assert (await sent(server, session, "POST", data=b"ab"))[2] == b"ab"


def test_origins_that_are_not_in_use_are_forgotten() -> None:
    destinations = Destinations(CIMultiDict(), frozenset({"http"}))
    first, *_, last = [destinations.find(URL(f"http://{number}.test/")) for number in range(257)]
    assert destinations.find(URL("http://256.test/other")) is last
    assert last.fields["Host"] == "256.test"
    assert destinations.find(URL("http://0.test/")) is not first
