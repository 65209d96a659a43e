"""How far the body of a request has been sent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from .errors import UploadAbortedError

if TYPE_CHECKING:
    from corelet.writer import BodyWriter

    from .connection import Connection


class UploadTracker:
    """Follow the upload of one request: ``session.post(url, data=..., upload_tracker=tracker)``.

    Made within a running loop, for one request.
    """

    __slots__ = ("_connection", "_is_taken", "_writer", "attempts", "upload_complete")

    def __init__(self) -> None:
        #: Is set when the body was sent, also by its error: UploadAbortedError where it never will be.
        self.upload_complete: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        #: How often the body was begun: redirects and retries begin it anew.
        self.attempts = 0
        self._is_taken = False
        self._writer: BodyWriter | None = None
        self._connection: Connection | None = None

    @property
    def bytes_written(self) -> int:
        """Bytes of the body that this attempt has handed to the system; what waits in our buffers does not count."""
        if self._writer is None:
            return 0
        transport = self._connection.transport if self._connection is not None else None
        unsent = transport.get_write_buffer_size() if transport is not None else 0
        return max(self._writer.buffer_size - unsent, 0)

    def take(self) -> None:
        """Take note of the request that it follows.

        Raises:
            RuntimeError: it follows another one already.
        """
        if self._is_taken:
            raise RuntimeError("an UploadTracker follows one request: make another one")
        self._is_taken = True

    def begin(self, writer: BodyWriter, connection: Connection) -> None:
        """Take note that the body is begun."""
        self.attempts += 1
        self._writer = writer
        self._connection = connection

    def settle(self, error: BaseException | None = None) -> None:
        """Take note that no attempt will follow: the body was sent, or failed."""
        if self.upload_complete.done():
            return
        if error is None:
            self.upload_complete.set_result(None)
            return
        aborted = UploadAbortedError("the body was not sent to its end")
        aborted.__cause__ = error
        self.upload_complete.set_exception(aborted)
        self.upload_complete.exception()  # nobody has to ask
