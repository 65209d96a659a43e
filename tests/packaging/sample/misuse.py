"""Wrong uses of the façade's names: each is reported in its line, by the rules that stand there, and nothing else."""

from __future__ import annotations

from corelet import ClientSession, web
from corelet.test_utils import TestServer


async def misuse(request: web.Request, session: ClientSession) -> None:
    web.Response(status="200")  # mypy: arg-type, pyright: reportArgumentType
    web.RouteTable()  # mypy: attr-defined, pyright: reportAttributeAccessIssue, pyright: reportUnknownMemberType
    web.get(1, misuse)  # mypy: arg-type, pyright: reportArgumentType
    await session.get(5)  # mypy: arg-type, pyright: reportArgumentType
    await session.get("/", timeout="long")  # mypy: arg-type, pyright: reportArgumentType
    await session.post("/", timout=3)  # mypy: call-arg, pyright: reportCallIssue
    session.fetch("/")  # mypy: attr-defined, pyright: reportAttributeAccessIssue, pyright: reportUnknownMemberType
    number: int = request.method  # mypy: assignment, pyright: reportAssignmentType
    ws = web.WebSocketResponse()
    await ws.send_str(b"bytes")  # mypy: arg-type, pyright: reportArgumentType
    stored = await web.get_session(request)
    stored.drop()  # mypy: attr-defined, pyright: reportAttributeAccessIssue, pyright: reportUnknownMemberType
    web.FileResponse(7)  # mypy: arg-type, pyright: reportArgumentType
    TestServer("app")  # mypy: arg-type, pyright: reportArgumentType
    print(number)


async def pass_on(request: web.Request, handler: web.Handler) -> str:
    return await handler(request)  # mypy: return-value, pyright: reportReturnType
