"""What a session's methods give: await it, or use it as a context manager."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from .response import ClientResponse
    from .session import ClientSession


class _Closable(Protocol):
    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None: ...


_T = TypeVar("_T", bound=_Closable)


class RequestContext(Coroutine[Any, Any, _T]):
    """A request on its way: ``await`` gives its response, ``async with`` ends it as well; a task can be made of it."""

    __slots__ = ("_coroutine", "_response")

    def __init__(self, coroutine: Coroutine[Any, Any, _T]) -> None:
        self._coroutine = coroutine
        self._response: _T

    def __await__(self) -> Generator[Any, Any, _T]:
        return self._coroutine.__await__()

    def send(self, value: Any) -> Any:
        """Go on, as coroutines do."""
        return self._coroutine.send(value)

    def throw(self, *error: Any) -> Any:
        """Go on with an error, as coroutines do."""
        return self._coroutine.throw(*error)

    def close(self) -> None:
        """Give the request up; it was not awaited."""
        self._coroutine.close()

    async def __aenter__(self) -> _T:
        self._response = response = await self._coroutine
        return response

    def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> Coroutine[Any, Any, None]:
        return self._response.__aexit__(exc_type, exc_val, exc_tb)


class SessionRequestContext(RequestContext["ClientResponse"]):
    """A request with a session of its own, which is closed with its response."""

    __slots__ = ("_session",)

    def __init__(self, coroutine: Coroutine[Any, Any, ClientResponse], session: ClientSession) -> None:
        super().__init__(coroutine)
        self._session = session

    async def __aenter__(self) -> ClientResponse:
        try:
            return await super().__aenter__()
        except BaseException:
            await self._session.close()
            raise

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        try:
            await super().__aexit__(exc_type, exc_val, exc_tb)
        finally:
            await self._session.close()
