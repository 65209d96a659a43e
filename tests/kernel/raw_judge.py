"""Send cases of raw bytes to an echo server, each on a connection of its own, and judge what happens.

A case is a dict with ``id``, ``send`` (bytes as Latin-1 text) or ``send_z`` (base64 of their zlib), ``expect``,
``level`` and ``opts``. The server answers 200 to everything, with JSON: method, path, headers, body_len, body_sha1.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import socket
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Case = dict[str, Any]

#: Statuses by which a server says that it failed, not its peer.
SERVER_FAULTS = {500, 502, 503, 504}
#: A case this large gets more time.
LARGE_BYTES = 50_000
#: Bytes that are sent one by one; what follows goes in about 200 pieces.
SPLIT_BYTES = 400
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})(?: |$)")


@dataclass
class Answer:
    """A response in what was received."""

    status: int
    body: bytes
    is_complete: bool

    @property
    def is_final(self) -> bool:
        return self.status >= 200 or self.status == 101

    @property
    def echo(self) -> dict[str, Any] | None:
        """What the server says it has read."""
        try:
            said = json.loads(self.body)
        except ValueError:
            return None
        return said if isinstance(said, dict) else None


@dataclass
class Talk:
    """What came back on one connection."""

    received: bytes = b""
    is_closed: bool = False
    note: str = ""


@dataclass
class Verdict:
    """Whether a case passed, why it did not, and what class of answer it got."""

    why: str
    signature: list[Any] = field(default_factory=list)

    @property
    def is_passed(self) -> bool:
        return not self.why

    @property
    def is_accepted(self) -> bool:
        return any(isinstance(each, int) and each < 300 for each in self.signature)


def load_cases(path: Path) -> list[Case]:
    """Load the cases of a file."""
    return [case for case in json.loads(path.read_text("utf-8")) if case["kind"] == "server-raw"]


def get_payload(case: Case) -> bytes:
    """Return the bytes that a case sends."""
    if "send" in case:
        text: str = case["send"]
        return text.encode("latin-1")
    return zlib.decompress(base64.b64decode(case["send_z"]))


async def judge_all(
    host: str, port: int, cases: Iterable[Case], *, is_split: bool, at_once: int = 40, idle_seconds: float = 0.5
) -> dict[str, Verdict]:
    """Judge all cases against a server, several at once; the verdicts by id."""
    slots = asyncio.Semaphore(at_once)

    async def judge_one(case: Case) -> tuple[str, Verdict]:
        data = get_payload(case)
        is_large = len(data) > LARGE_BYTES
        async with slots:
            talk = await talk_to(
                (host, port),
                data,
                is_split=is_split,
                is_half_closed=case.get("opts", {}).get("half_close", False),
                idle_seconds=max(idle_seconds, 2.5) if is_large else idle_seconds,
                deadline_seconds=20 if is_large else 8,
            )
        return case["id"], judge(case, talk)

    return dict(await asyncio.gather(*map(judge_one, cases)))


async def talk_to(
    address: tuple[str, int],
    data: bytes,
    *,
    is_split: bool,
    is_half_closed: bool,
    idle_seconds: float,
    deadline_seconds: float,
) -> Talk:
    """Send bytes and read until the server closes or says nothing for a while."""
    loop = asyncio.get_running_loop()
    talk = Talk()
    received = bytearray()
    with socket.socket() as sock:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await asyncio.wait_for(loop.sock_connect(sock, address), 5)
        except OSError as error:
            return Talk(note=f"connect: {type(error).__name__}")
        quiet_since = loop.time()

        async def read() -> None:
            nonlocal quiet_since
            try:
                while data := await loop.sock_recv(sock, 65536):
                    received.extend(data)
                    quiet_since = loop.time()
            except OSError as error:
                talk.note = type(error).__name__
            talk.is_closed = True

        async def write() -> None:
            nonlocal quiet_since
            try:
                await _send(sock, data, is_split)
                if is_half_closed:
                    sock.shutdown(socket.SHUT_WR)
            except OSError as error:
                talk.note = f"send: {type(error).__name__}"
            quiet_since = loop.time()

        reading, writing = asyncio.create_task(read()), asyncio.create_task(write())
        end = loop.time() + deadline_seconds
        while not talk.is_closed and loop.time() < end:
            if writing.done() and loop.time() - quiet_since >= idle_seconds:
                break
            await asyncio.sleep(0.02)
        for task in (reading, writing):
            task.cancel()
        await asyncio.gather(reading, writing, return_exceptions=True)
    talk.received = bytes(received)
    return talk


async def _send(sock: socket.socket, data: bytes, is_split: bool) -> None:
    loop = asyncio.get_running_loop()
    if not is_split:
        await loop.sock_sendall(sock, data)
        return
    first, rest = data[:SPLIT_BYTES], data[SPLIT_BYTES:]
    step = max(1, len(rest) // 200)
    pieces = [first[at : at + 1] for at in range(len(first))]
    pieces += [rest[at : at + step] for at in range(0, len(rest), step)]
    for piece in pieces:
        await loop.sock_sendall(sock, piece)
        await asyncio.sleep(0.0003)


def parse_answers(received: bytes, answers_to_head: Iterable[int], is_closed: bool) -> tuple[list[Answer], bytes]:
    """Cut what was received into responses; the rest is what is none."""
    without_body = set(answers_to_head)
    answers: list[Answer] = []
    at = finals = 0
    while (end := received.find(b"\r\n\r\n", at)) >= 0:
        start_line, *lines = received[at:end].split(b"\r\n")
        match = _STATUS_LINE.match(start_line)
        if not match:
            break
        status = int(match[1])
        at = end + 4
        body, is_complete = b"", True
        if status >= 200 and status not in {204, 304} and finals not in without_body:
            body, is_complete, at = _cut_body(received, at, _read_fields(lines), is_closed)
        answer = Answer(status, body, is_complete)
        finals += answer.is_final
        answers.append(answer)
        if not is_complete or status == 101:
            break
    return answers, received[at:]


def _read_fields(lines: list[bytes]) -> dict[str, str]:
    pairs = (line.partition(b":") for line in lines)
    return {name.strip().lower().decode("latin-1"): value.strip().decode("latin-1") for name, _, value in pairs}


def _cut_body(received: bytes, at: int, fields: dict[str, str], is_closed: bool) -> tuple[bytes, bool, int]:
    if "chunked" in fields.get("transfer-encoding", "").lower():
        return _cut_chunked(received, at)
    if "content-length" not in fields:
        return received[at:], is_closed, len(received)
    size = int(fields["content-length"])
    body = received[at : at + size]
    return body, len(body) == size, at + len(body)


def _cut_chunked(received: bytes, at: int) -> tuple[bytes, bool, int]:
    body = b""
    while (end := received.find(b"\r\n", at)) >= 0:
        size = int(received[at:end].split(b";")[0], 16)
        if size == 0:
            blank = received.find(b"\r\n\r\n", end)
            return (body, True, blank + 4) if blank >= 0 else (body, False, at)
        if len(received) < end + size + 4:
            break
        body += received[end + 2 : end + 2 + size]
        at = end + size + 4
    return body, False, at


def judge(case: Case, talk: Talk) -> Verdict:
    """Judge what happened to a case."""
    answers, rest = parse_answers(talk.received, case.get("opts", {}).get("heads", []), talk.is_closed)
    seen = _Seen(case, answers, rest, talk.is_closed)
    signature = [answer.status for answer in seen.final] + (["closed"] if talk.is_closed else [])
    if talk.note.startswith("connect"):
        return Verdict(talk.note, signature)
    return Verdict(seen.find_fault() or _JUDGES[case["expect"].partition(":")[0]](seen), signature)


class _Seen:
    """The answers to one case; every method returns what is wrong, or an empty string."""

    def __init__(self, case: Case, answers: list[Answer], rest: bytes, is_closed: bool) -> None:
        self.case = case
        self.opts = case.get("opts", {})
        self.wants = self.opts.get("want", [])
        self.rest = rest
        self.is_closed = is_closed
        self.interim = [answer for answer in answers if not answer.is_final]
        self.final = [answer for answer in answers if answer.is_final]
        allowed = self.opts.get("statuses", [])
        self.good = [answer for answer in self.final if 200 <= answer.status < 300 or answer.status in allowed]

    def find_fault(self) -> str:
        """What no case allows."""
        for answer in self.final:
            if answer.status in SERVER_FAULTS:
                return f"server fault {answer.status}"
            if answer.echo and "/smuggled" in str(answer.echo.get("path", "")):
                return "the request hidden inside was served"
        if self.opts.get("no100") and self.interim:
            return "1xx sent"
        return ""

    def accepted(self) -> str:
        bad = [answer.status for answer in self.final if answer not in self.good]
        if bad:
            return f"answered {bad}"
        count = self.opts.get("n", 1)
        least, most = count if isinstance(count, list) else (count, count)
        if not least <= len(self.good) <= most:
            return f"{len(self.good)} answers, not {count}{' (closed)' if self.is_closed else ' (open)'}"
        return self.echoed() or self.ended_well()

    def echoed(self) -> str:
        return next(filter(None, map(_compare, self.good, self.wants)), "")

    def ended_well(self) -> str:
        if not self.opts.get("heads") and not all(answer.is_complete for answer in self.good):
            return "answer incomplete"
        if self.opts.get("closed") and not self.is_closed:
            return "not closed"
        is_tunnel = (self.good[-1:] and self.good[-1].status == 101) or self.case.get("send", "").startswith("CONNECT")
        return f"junk after answers: {self.rest[:40]!r}" if self.rest and not is_tunnel else ""

    def refused(self, *, must_close: bool = False, must_answer: bool = False) -> str:
        if self.good:
            return f"answered {[answer.status for answer in self.good]}"
        if any(answer.status < 400 for answer in self.final):
            return f"answered {self.final[0].status}"
        if not self.final and (must_answer or not self.is_closed):
            return "closed without an answer" if self.is_closed else "no answer, still open"
        return "answered but not closed" if must_close and not self.is_closed else ""

    def either(self) -> str:
        return self.accepted() if self.good else self.refused()

    def either_or_waits(self) -> str:
        return "" if not self.final and not self.is_closed else self.either()

    def refused_later(self) -> str:
        count = int(self.case["expect"].partition(":")[2])
        if len(self.good) != count:
            return f"{len(self.good)} good answers, not {count}"
        return self.echoed() if self.is_closed else "not closed after the bad part"

    def not_smuggled(self) -> str:
        wrong = _compare(self.good[0], self.wants[0]) if self.good and self.wants else ""
        if wrong or len(self.good) > 1:
            return wrong or f"{len(self.good)} answers"
        return "not closed" if self.good and self.opts.get("closed") and not self.is_closed else ""

    def waits(self) -> str:
        if self.final:
            return f"answered {[answer.status for answer in self.final]}"
        return "closed" if self.is_closed else ""

    def not_served(self) -> str:
        return f"answered {self.good[0].status}" if self.good else ""

    def continues(self) -> str:
        is_asked = any(answer.status == 100 for answer in self.interim) and not self.final
        return "" if is_asked else f"interim {self.interim} final {self.final}"


_JUDGES: dict[str, Callable[[_Seen], str]] = {
    "200": _Seen.accepted,
    "400": lambda seen: seen.refused(must_answer=True),
    "400+close": lambda seen: seen.refused(must_answer=True, must_close=True),
    "reject": lambda seen: seen.refused(must_close=True),
    "200|reject": _Seen.either,
    "200|reject|wait": _Seen.either_or_waits,
    "reject-after": _Seen.refused_later,
    "not-smuggled": _Seen.not_smuggled,
    "wait": _Seen.waits,
    "wait|reject": _Seen.not_served,
    "no-2xx": _Seen.not_served,
    "100": _Seen.continues,
}


def _compare(answer: Answer, want: dict[str, Any]) -> str:
    """Compare what the server has read with what was sent."""
    echo = answer.echo
    if echo is None:
        return "no echo" if answer.body else ""
    path = echo["path"].partition("?")[0]
    if "path" in want and path != want["path"] and not path.endswith("://a" + want["path"]):
        return f"path {echo['path']!r}, not {want['path']!r}"
    if "method" in want and echo["method"] != want["method"]:
        return f"method {echo['method']!r}"
    return _compare_body(echo, want) or _compare_fields(echo, want)


def _compare_body(echo: dict[str, Any], want: dict[str, Any]) -> str:
    if "body" in want:
        body = want["body"].encode("latin-1")
        want = {"body_len": len(body), "body_sha1": hashlib.sha1(body).hexdigest()}
    is_equal = "body_sha1" not in want or (echo["body_len"], echo["body_sha1"]) == (want["body_len"], want["body_sha1"])
    return "" if is_equal else f"body of {echo['body_len']} bytes, not {want['body_len']}, or other bytes"


def _compare_fields(echo: dict[str, Any], want: dict[str, Any]) -> str:
    fields = defaultdict(list)
    for name, value in echo["headers"]:
        fields[name.lower()].append(value)
    for name, value in want.get("headers", {}).items():
        if ", ".join(fields.get(name, ["<absent>"])) != value:
            return f"header {name}: {fields.get(name)!r}, not {value!r}"
    for name, pattern in want.get("headers_re", {}).items():
        if not all(re.fullmatch(pattern, value) for value in fields.get(name, [])):
            return f"header {name}: {fields[name]!r} doesn't match {pattern!r}"
    present = [name for name in want.get("absent", []) if name in fields]
    return f"header {present[0]} present" if present else ""
