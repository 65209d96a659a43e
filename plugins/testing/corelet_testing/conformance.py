"""What classes of conformance tests have in common: how they say what was promised, and how they serve."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Final

from .client import TestClient
from .server import TestServer

if TYPE_CHECKING:
    from corelet import web

_NOT_GIVEN: Final[Any] = object()


class Conformance(ABC):
    """The base of classes that hold what an author has made to what its port promises.

    Derive a class from one for your port, say how your thing is made, and have pytest run it::

        class TestMyRouter(RouterConformance):
            def make_router(self):
                return MyRouter()

    Tests are coroutine functions without fixtures. They run by pytest-asyncio in its mode ``auto``, or with the class
    marked by ``@pytest.mark.asyncio`` or, for anyio on its asyncio backend, ``@pytest.mark.anyio``; and by unittest,
    where the class derives from ``unittest.IsolatedAsyncioTestCase`` as well. A failure is an AssertionError that says
    what was promised and what was found.
    """

    #: What is tested, in words of a failure.
    port: ClassVar[str]
    #: Seconds after which something that should have ended is said to hang; no test waits so long that passes.
    patience_seconds: float = 10.0

    # An assert would be stripped from an installed module under -O, and not be rewritten by pytest.

    def expect(self, holds: object, promise: str, found: object = _NOT_GIVEN) -> None:
        """Fail unless a promise holds.

        Args:
            holds: whether it does.
            promise: what the port promises, as a statement.
            found: what was there instead, for the message.

        Raises:
            AssertionError: it does not hold.
        """
        if not holds:
            raise AssertionError(self.describe(promise, found))

    def expect_equal(self, found: object, expected: object, promise: str) -> None:
        """Fail unless something is as promised.

        Raises:
            AssertionError: it is something else.
        """
        if found != expected:
            raise AssertionError(f"{self.describe(promise, found)}, expected {_shorten(expected)}")

    @contextlib.contextmanager
    def expect_error(
        self, kinds: type[BaseException] | tuple[type[BaseException], ...], promise: str
    ) -> Iterator[None]:
        """Fail unless what stands in the ``with`` statement raises an error of these kinds.

        Raises:
            AssertionError: it raises another one, or none.
        """
        try:
            yield
        except kinds:
            return
        except Exception as error:
            raise AssertionError(self.describe(promise, error)) from error
        raise AssertionError(f"{self.describe(promise)}; found no error")

    @asynccontextmanager
    async def expect_end(self, promise: str) -> AsyncIterator[None]:
        """Fail where what stands in the ``async with`` statement hangs.

        Raises:
            AssertionError: it took longer than :attr:`patience_seconds`.
        """
        timeout = asyncio.timeout(self.patience_seconds)
        try:
            async with timeout:
                yield
        except TimeoutError as error:
            if not timeout.expired():
                raise
            raise AssertionError(f"{self.describe(promise)}; found that it hangs") from error

    def describe(self, promise: str, found: object = _NOT_GIVEN) -> str:
        """Say what was promised and, if it is given, what was found."""
        text = f"{self.port} is expected to hold to this: {promise}"
        return text if found is _NOT_GIVEN else f"{text}; found {_shorten(found)}"

    def serve(self, app: web.Application, **kwargs: Any) -> AbstractAsyncContextManager[TestClient]:
        """Serve an application, and give its client; keywords are for the session."""
        return TestClient(TestServer(app), **kwargs)


def _shorten(thing: object) -> str:
    """Show a thing as code does; of long ones the beginning."""
    text = repr(thing)
    return text if len(text) <= 300 else f"{text[:300]}... ({len(text):,} characters)"
