"""What is kept of a session: its data, when it began, when it was last seen, and how long its cookie lives."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

logger: Final = logging.getLogger("corelet.sessions")

#: How a record begins whose session goes on under another token: a mark for whoever wants to replace it.
MOVED: Final = b"moved "


class Record(NamedTuple):
    """One session as it is kept.

    Args:
        data: of the application.
        created: when it began, in seconds since 1970.
        seen: when it was last saved, likewise.
        max_age: seconds that the peer keeps its cookie; None until its browser ends.
    """

    data: dict[str, Any]
    created: int
    seen: int
    max_age: int | None


class Serializer:
    """Make bytes of records and back.

    Args:
        dumps: makes text or bytes of what JSON can hold.
        loads: reads them.
    """

    def __init__(self, dumps: Callable[[Any], str | bytes], loads: Callable[[bytes], Any]) -> None:
        self._dumps = dumps
        self._loads = loads

    def dump(self, record: Record) -> bytes:
        """Make bytes of a record.

        Raises:
            TypeError: what ``dumps`` raises for data that it can't serialise.
        """
        made = self._dumps([record.created, record.seen, record.max_age, record.data])
        return made.encode() if isinstance(made, str) else made

    def load(self, data: bytes) -> Record | None:
        """Read a record; None for what is none: moved, of another program, or of another version."""
        if data.startswith(MOVED):
            return None
        try:
            created, seen, max_age, content = self._loads(data)
        except (ValueError, TypeError, RecursionError):
            return None
        except Exception as exc:  # noqa: BLE001  # a serialiser of the application's own may raise anything
            logger.warning("a session can't be read, and ends: %r", exc)
            return None
        is_whole = isinstance(content, dict) and isinstance(created, int) and isinstance(seen, int)
        is_whole = is_whole and (max_age is None or isinstance(max_age, int))
        return Record(content, created, seen, max_age) if is_whole else None


#: The least text, as json can make it.
DUMPS: Final[Callable[[Any], str]] = partial(json.dumps, separators=(",", ":"))

_DECODER: Final = json.JSONDecoder()


def _load_json(data: bytes) -> Any:
    """Read JSON in UTF-8; ``json.loads`` would look for other encodings first."""
    text = data.decode()
    value, end = _DECODER.raw_decode(text)
    if end != len(text):
        raise ValueError(f"{len(text) - end} characters follow the JSON of a session")
    return value


LOADS: Final[Callable[[bytes], Any]] = _load_json
