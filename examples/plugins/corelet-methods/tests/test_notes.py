"""The application beside the package, over a socket."""

from __future__ import annotations

from typing import Any

import notes
import pytest


async def test_a_note_is_written_read_changed_and_deleted(client_for: Any) -> None:
    client = await client_for(notes.make_app())
    async with client.post("/notes", json={"text": "buy milk"}) as answer:
        assert answer.status == 201
        place, tag = answer.headers["Location"], answer.headers["ETag"]
        assert await answer.json() == {"id": 1, "text": "buy milk"}
    async with client.get(place) as answer:
        assert (answer.headers["ETag"], await answer.json()) == (tag, {"id": 1, "text": "buy milk"})
    async with client.head(place) as answer:
        assert (answer.status, answer.headers["ETag"], await answer.read()) == (200, tag, b"")
    async with client.put(place, json={"text": "buy bread"}, headers={"If-Match": tag}) as answer:
        assert answer.status == 200
        newer = answer.headers["ETag"]
        assert newer != tag
    async with client.get("/notes", params={"word": "bread"}) as answer:
        assert await answer.json() == [{"id": 1, "text": "buy bread"}]
    async with client.get("/notes/count") as answer:
        assert (await answer.json())["notes"] == 1
    async with client.delete(place, headers={"If-Match": newer}) as answer:
        assert answer.status == 204
    async with client.get(place) as answer:
        assert answer.status == 404


async def test_nobody_overwrites_what_somebody_else_has_written(client_for: Any) -> None:
    client = await client_for(notes.make_app())
    async with client.post("/notes", json={"text": "one"}) as answer:
        place, tag = answer.headers["Location"], answer.headers["ETag"]
    for headers, status in (({}, 428), ({"If-Match": tag}, 200), ({"If-Match": tag}, 412), ({"If-Match": "*"}, 200)):
        async with client.put(place, json={"text": "two"}, headers=headers) as answer:
            assert answer.status == status


@pytest.mark.parametrize(
    ("method", "path", "data", "status"),
    [
        ("POST", "/notes", b"no json", 400),
        ("POST", "/notes", b"\xff", 400),
        ("POST", "/notes", b"[" * 50_000, 400),
        ("POST", "/notes", b'{"text": 1}', 400),
        ("POST", "/notes", b'{"text": ""}', 400),
        ("POST", "/notes", b'{"text": "%s"}' % (b"x" * 10_001), 400),
        ("POST", "/notes", b" " * 100_001, 413),
        ("GET", "/notes/7", None, 404),
        ("GET", "/notes/%C2%B2", None, 404),
        ("GET", "/notes/" + "9" * 5000, None, 404),
        ("PATCH", "/notes/1", None, 405),
        ("DELETE", "/notes", None, 405),
    ],
)
async def test_what_can_not_be_done_says_why(
    client_for: Any, method: str, path: str, data: bytes | None, status: int
) -> None:
    client = await client_for(notes.make_app())
    async with client.request(method, path, data=data) as answer:
        assert answer.status == status
        assert await answer.text()


async def test_there_is_room_for_so_many_notes(client_for: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notes, "MAX_NOTES", 1)
    client = await client_for(notes.make_app())
    for status in (201, 507):
        async with client.post("/notes", json={"text": "one"}) as answer:
            assert answer.status == status
