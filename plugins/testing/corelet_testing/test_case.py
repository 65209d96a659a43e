"""A test case of unittest with a server and a client."""

from __future__ import annotations

import asyncio
from unittest import IsolatedAsyncioTestCase

from corelet import web

from .client import TestClient
from .server import TestServer


class AioHTTPTestCase(IsolatedAsyncioTestCase):
    """Test an application by unittest; under aiohttp's name for it.

    Override :meth:`get_application`. A test has ``self.app``, ``self.server`` and ``self.client``, which are closed
    after it.
    """

    async def get_application(self) -> web.Application:
        """Make the application; :meth:`get_app` by default."""
        return self.get_app()

    def get_app(self) -> web.Application:
        """Make the application, without waiting.

        Raises:
            RuntimeError: neither this method nor :meth:`get_application` was overridden.
        """
        raise RuntimeError(f"{type(self).__name__} has no application: override get_application()")

    async def get_server(self, app: web.Application) -> TestServer:
        """Make the server."""
        return TestServer(app)

    async def get_client(self, server: TestServer) -> TestClient:
        """Make the client."""
        return TestClient(server)

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The running event loop."""
        return asyncio.get_running_loop()

    async def asyncSetUp(self) -> None:  # unittest's name
        """Start before each test."""
        await super().asyncSetUp()
        await self.setUpAsync()

    async def setUpAsync(self) -> None:  # noqa: N802  # aiohttp's name
        """Make and start application, server and client; call it first where you override it."""
        self.app = await self.get_application()
        self.server = await self.get_server(self.app)
        self.client = await self.get_client(self.server)
        await self.client.start_server()

    async def asyncTearDown(self) -> None:  # unittest's name
        """End after each test."""
        await self.tearDownAsync()
        await super().asyncTearDown()

    async def tearDownAsync(self) -> None:  # noqa: N802  # aiohttp's name
        """Close client and server."""
        await self.client.close()
