"""FileResponse: an answer whose body is a file."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from corelet import web

from .condition import State, judge
from .opened_file import OPEN_FLAGS, NotRegularError, OpenedFile, open_file

if TYPE_CHECKING:
    from corelet.abc import AbstractStreamWriter

Headers = Mapping[str, str] | Iterable[tuple[str, str]]

#: Where nothing has this name, also where a link leads in a circle or a name can't be.
_NOT_FOUND: Final = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ}
)
#: Where something has this name that can't be sent. ENXIO is a socket, or a FIFO that nobody writes to.
_FORBIDDEN: Final = frozenset({errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENXIO})


class FileResponse(web.StreamResponse):
    """Answer with a file, which is opened off the event loop and sent by the system's own copying.

    A 200 to GET or HEAD follows conditions and ranges: it becomes 304, 412, 206 or 416. It carries ETag,
    Last-Modified and Accept-Ranges. Where the peer accepts it, a precompressed sibling (``.br``, ``.zst``, ``.gz``,
    no symbolic link) is sent. A file that becomes shorter while it is sent ends the connection, so that the
    peer can tell.

    Args:
        path: the file. It is trusted: of names that a peer has given make a :class:`StaticResource`.
        chunk_size: bytes that are read at once where the system doesn't copy, as over TLS.
        status: 100 to 999; any other than 200 answers with the whole file, whatever the conditions.
        reason: the phrase in the status line; default the registered one.
        headers: fields of the head; a Content-Type replaces the guess by the file's name.

    Raises:
        HTTPNotFound: by :meth:`prepare`, where nothing has that name.
        HTTPForbidden: by :meth:`prepare`, where it can't be read or is no plain file.

    Source: RFC 9110 sections 8.8, 13 and 14.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        chunk_size: int = 262_144,
        status: int = 200,
        reason: str | None = None,
        headers: Headers | None = None,
    ) -> None:
        super().__init__(status=status, reason=reason, headers=headers)
        names = () if headers is None else headers if isinstance(headers, Mapping) else dict(headers)
        self._has_type = any(name.lower() == "content-type" for name in names)
        self._path = os.fspath(path)
        self._chunk_size = chunk_size
        self._file: OpenedFile | None = None
        # Where the content to send begins, and how long it is.
        self._start = 0
        self._count = 0
        self._target: AbstractStreamWriter | None = None

    def take_file(self, file: OpenedFile) -> None:
        """Send a file that is open already; the path only names it."""
        self._file = file

    def enable_compression(self, force: Any = None, strategy: int | None = None, *, level: int | None = None) -> None:
        """Code the body by a content coding; a part of a file, which is one of the content as it is, stays as it is."""
        if self.status != 206:
            super().enable_compression(force, strategy, level=level)

    async def prepare(self, request: web.BaseRequest) -> Any:
        """Open the file and send the head; see :meth:`StreamResponse.prepare`."""
        if self.prepared:
            return await super().prepare(request)
        file = self._file
        if file is None:
            file = self._file = await self._open(request)
        try:
            self._describe(request, file)
            self._target = await super().prepare(request)
        except BaseException:
            file.file.close()
            raise
        return self._target

    async def _open(self, request: web.BaseRequest) -> OpenedFile:
        accept = "" if "Content-Encoding" in self.headers else request.headers.get("Accept-Encoding", "")
        reads_small = request.method != "HEAD"
        opening = partial(
            open_file, _TrustedPlace(self._path), os.path.basename(self._path), accept, reads_small=reads_small
        )
        try:
            return await asyncio.get_running_loop().run_in_executor(None, opening)
        except OSError as exc:
            raise translate_error(exc) from exc
        except ValueError as exc:  # a NUL in the path
            raise web.HTTPNotFound from exc

    def _describe(self, request: web.BaseRequest, file: OpenedFile) -> None:
        """Decide what is sent, and set the fields that say so."""
        headers = self.headers
        if not self._has_type:
            headers["Content-Type"] = file.media_type
        if file.has_siblings:
            headers.add("Vary", "Accept-Encoding")
        if file.coding:
            headers["Content-Encoding"] = file.coding
        self.etag = file.etag
        self.last_modified = file.facts.st_mtime
        self._count = file.size
        if self.status == 200 and request.method in ("GET", "HEAD"):
            self._follow_conditions(request, file)
        if not self.chunked and self.status != 304:
            self.content_length = self._count

    def _follow_conditions(self, request: web.BaseRequest, file: OpenedFile) -> None:
        state = State(file.etag, file.facts.st_mtime, file.size)
        verdict = judge(request, state)
        # What is coded on its way has no parts that anybody could ask for.
        if self.compression and verdict.status in (206, 416):
            return
        if not self.compression:
            self.headers["Accept-Ranges"] = "bytes"
        if verdict.status != 200:
            self.set_status(verdict.status)
        self._start, self._count = verdict.start, verdict.count
        if verdict.status == 206:
            last = verdict.start + verdict.count - 1
            self.headers["Content-Range"] = f"bytes {verdict.start}-{last}/{state.size}"
        elif verdict.status == 416:
            self.headers["Content-Range"] = f"bytes */{state.size}"

    async def write_eof(self, data: bytes = b"") -> None:
        """Send the content and end the response; a second call does nothing."""
        file, self._file = self._file, None
        if file is not None and self._target is not None:
            try:
                await self._send(file, self._target)
            finally:
                await _close(file)
        await super().write_eof(data)

    async def _send(self, file: OpenedFile, target: AbstractStreamWriter) -> None:
        if file.content is not None:
            await target.write(file.content[self._start : self._start + self._count])
        elif self._count:
            await target.send_file(file.file, self._start, self._count, piece_bytes=self._chunk_size)


class _TrustedPlace:
    """A path that the application has given."""

    def __init__(self, path: str) -> None:
        self._path = path

    def open(self, suffix: str) -> int:
        if not suffix:
            return os.open(self._path, OPEN_FLAGS)
        # Nobody has vouched for where a link beside the file leads.
        return os.open(self._path + suffix, OPEN_FLAGS | getattr(os, "O_NOFOLLOW", 0))

    def has(self, suffix: str) -> bool:
        return os.access(self._path + suffix, os.F_OK)


async def _close(file: OpenedFile) -> None:
    if not file.file.closed:
        await asyncio.get_running_loop().run_in_executor(None, file.file.close)


def translate_error(error: OSError) -> Exception:
    """Make the answer to a file that can't be opened; an error that is the server's own stays as it is."""
    if isinstance(error, NotRegularError) or error.errno in _FORBIDDEN:
        return web.HTTPForbidden()
    if error.errno in _NOT_FOUND:
        return web.HTTPNotFound()
    return error
