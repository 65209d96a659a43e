"""Files of a form while they are received: small ones in memory, large ones on disk, written off the event loop."""

from __future__ import annotations

import asyncio
import io
import os
import tempfile
from typing import IO, Any, Final

#: Bytes that are written to disk at once.
_WRITE_BYTES: Final = 262_144


class TemporaryFile(io.BufferedRandom):
    """A file without a name, which is gone when it is closed or forgotten; made by :func:`open_temporary_file`."""

    def __del__(self) -> None:
        # Whoever got it from a form need not close it: it ends with the request.
        self.close()


def open_temporary_file() -> TemporaryFile:
    """Open a file that has no name, so that nothing is left when the process dies."""
    with tempfile.TemporaryFile(buffering=0) as file:
        return TemporaryFile(io.FileIO(os.dup(file.fileno()), "r+b"))


class FileSpool:
    """Take the content of a file piece by piece.

    Args:
        spool_bytes: what is larger goes to disk.
    """

    def __init__(self, spool_bytes: int) -> None:
        self._spool_bytes = spool_bytes
        self._pieces: list[bytes] = []
        self._size = 0
        self._file: TemporaryFile | None = None

    @property
    def is_full(self) -> bool:
        """Whether :meth:`flush` has to be awaited before more is taken."""
        return self._size > (self._spool_bytes if self._file is None else _WRITE_BYTES)

    def feed_data(self, data: bytes) -> None:
        """Take a piece."""
        self._pieces.append(data)
        self._size += len(data)

    async def flush(self) -> None:
        """Write to disk what is held in memory."""
        pieces, self._pieces, self._size = self._pieces, [], 0
        loop = asyncio.get_running_loop()
        if self._file is None:
            self._file = await loop.run_in_executor(None, open_temporary_file)
        await loop.run_in_executor(None, _write, self._file, pieces)

    async def finish(self) -> IO[bytes]:
        """Give the file, at its beginning."""
        if self._file is None:
            return io.BytesIO(b"".join(self._pieces))
        await self.flush()
        file, self._file = self._file, None
        await asyncio.get_running_loop().run_in_executor(None, file.seek, 0)
        return file

    def close(self) -> None:
        """Drop everything; for a form that came to nothing."""
        self._pieces.clear()
        if self._file is not None:
            self._file.close()


def _write(file: Any, pieces: list[bytes]) -> None:
    for piece in pieces:
        file.write(piece)
    file.flush()
