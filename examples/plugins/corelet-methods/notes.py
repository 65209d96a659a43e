"""Notes over JSON, kept in memory: an application whose router is corelet-methods.

``corelet run notes:app`` in this folder serves it. Each note has an entity tag: who changes a note says by If-Match
which version that is of, so that nobody overwrites what somebody else has written meanwhile.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from corelet import web

MAX_NOTES: Final = 1000
MAX_TEXT_CHARACTERS: Final = 10_000


@dataclass
class Note:
    """A text, and how often it was written."""

    text: str
    version: int = 1

    @property
    def tag(self) -> str:
        return f'"{self.version}"'

    def answer(self, number: int, *, status: int = 200, **headers: str) -> web.Response:
        return web.json_response(
            {"id": number, "text": self.text}, status=status, headers={"ETag": self.tag, **headers}
        )


class Notebook:
    """Keeps notes, and answers requests for them."""

    def __init__(self) -> None:
        self._notes: dict[int, Note] = {}
        self._last = 0

    async def list_notes(self, request: web.Request) -> web.Response:
        word = request.query.get("word", "")
        return web.json_response(
            [{"id": key, "text": note.text} for key, note in self._notes.items() if word in note.text]
        )

    async def count(self, request: web.Request) -> web.Response:
        return web.json_response({"notes": len(self._notes), "limit": MAX_NOTES})

    async def create(self, request: web.Request) -> web.Response:
        text = await read_text(request)
        if len(self._notes) >= MAX_NOTES:
            raise web.HTTPInsufficientStorage(text=f"there are {MAX_NOTES} notes already: delete one")
        self._last += 1
        note = self._notes[self._last] = Note(text)
        return note.answer(self._last, status=201, Location=f"{request.path}/{self._last}")

    async def show(self, request: web.Request) -> web.Response:
        number, note = self._find(request)
        return note.answer(number)

    async def replace(self, request: web.Request) -> web.Response:
        number, note = self._find(request)
        text = await read_text(request)
        check_version(request, note)
        note.text, note.version = text, note.version + 1
        return note.answer(number)

    async def delete(self, request: web.Request) -> web.Response:
        number, note = self._find(request)
        check_version(request, note)
        del self._notes[number]
        return web.Response(status=204)

    def _find(self, request: web.Request) -> tuple[int, Note]:
        word = request.match_info["id"]
        number = int(word) if word.isascii() and word.isdecimal() and len(word) < 10 else 0
        if number not in self._notes:
            raise web.HTTPNotFound(text=f"there is no note {word}")
        return number, self._notes[number]


async def read_text(request: web.Request) -> str:
    """Read the text of a note: ``{"text": "..."}``."""
    try:
        told: Any = await request.json()
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
        told = None
    text = told.get("text") if isinstance(told, dict) else None
    if not isinstance(text, str) or not 0 < len(text) <= MAX_TEXT_CHARACTERS:
        raise web.HTTPBadRequest(text=f'expected {{"text": "..."}} of 1 to {MAX_TEXT_CHARACTERS:,} characters')
    return text


def check_version(request: web.Request, note: Note) -> None:
    """Refuse to change another version than the one that was read. Source: RFC 9110 section 13.1.1."""
    wanted = request.headers.get("If-Match")
    if wanted is None:
        raise web.HTTPPreconditionRequired(text="say by If-Match which version you have read: the ETag of the note")
    if wanted != "*" and note.tag not in [tag.strip() for tag in wanted.split(",")]:
        raise web.HTTPPreconditionFailed(text=f"the note was changed meanwhile: it is {note.tag} now")


def make_app() -> web.Application:
    """Make the application, with an empty notebook."""
    notebook = Notebook()
    app = web.Application(plugins=["methods"], client_max_size=100_000)
    app.router.add_table(
        {
            "GET": {
                "/notes": notebook.list_notes,
                "/notes/count": notebook.count,
                "/notes/{id}": notebook.show,
            },
            "POST": {"/notes": notebook.create},
            "PUT": {"/notes/{id}": notebook.replace},
            "DELETE": {"/notes/{id}": notebook.delete},
        }
    )
    return app


app = make_app()
