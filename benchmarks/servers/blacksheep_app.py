"""BlackSheep on granian: its ASGI interface, one worker, uvloop, logs off."""

from __future__ import annotations

from blacksheep import Application, Request, Response, json, text
from blacksheep.server.routing import Router
from granian import Granian
from granian.constants import Interfaces, Loops

from benchmarks.servers.arguments import HELLO, read_arguments


async def hello() -> Response:
    return text(HELLO)


async def user(request: Request) -> Response:
    client = request.get_first_header(b"X-Client")
    number = request.route_values["id"]
    assert client is not None
    assert number is not None
    return json(
        {
            "id": int(number),
            "verbose": request.query["verbose"][0],
            "client": client.decode(),
        }
    )


def make_app() -> Application:
    """Make the application; granian calls it in its worker."""
    router = Router()
    router.add_get("/", hello)
    router.add_get("/users/{id}", user)
    return Application(router=router)


if __name__ == "__main__":
    Granian(
        "benchmarks.servers.blacksheep_app:make_app",
        factory=True,
        address="127.0.0.1",
        port=read_arguments(__doc__).port,
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        workers=1,
        backlog=4096,
        log_enabled=False,
        websockets=False,
    ).serve()
