"""Class-based views: a handler for each method of one path."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final

from corelet.abc import AbstractView
from corelet.web import HTTPMethodNotAllowed

#: The methods that a view may have. Source: RFC 9110 section 9.3, RFC 5789.
METHODS: Final = ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE")


class View(AbstractView):
    """A class with a coroutine method for each HTTP method, in lower case: ``async def get(self)``.

    One is made for each request, :attr:`request`. A method that the class doesn't have is answered by 405 with the
    methods that it has; HEAD is a method of its own.

    Args:
        request: the request to answer.
    """

    def __await__(self) -> Generator[Any, None, Any]:
        return self._answer().__await__()

    async def _answer(self) -> Any:
        method = self.request.method
        handler = getattr(self, method.lower(), None) if method in METHODS else None
        if handler is None:
            raise HTTPMethodNotAllowed(method, [name for name in METHODS if hasattr(self, name.lower())])
        return await handler()
