from __future__ import annotations

from corelet import web


class Note(web.View):
    async def get(self) -> web.Response:
        return web.Response(text=f"note {self.request.match_info['number']}")

    async def delete(self) -> web.Response:
        raise web.HTTPNoContent

    async def request_secret(self) -> web.Response:
        raise AssertionError("no request leads here")


def make_app() -> web.Application:
    app = web.Application()
    app.router.add_view("/notes/{number}", Note)
    return app


async def test_view_answers_by_the_method_of_its_name(serve, peer):
    served = await serve(make_app())
    async with peer.get(served.url / "notes/5") as response:
        assert (response.status, await response.text()) == (200, "note 5")
    async with peer.delete(served.url / "notes/5") as response:
        assert response.status == 204


async def test_missing_method_of_a_view_is_405_with_allow(serve, peer):
    served = await serve(make_app())
    for method in ("POST", "HEAD", "REQUEST", "REQUEST_SECRET", "_ANSWER"):
        async with peer.request(method, served.url / "notes/5") as response:
            assert (response.status, response.headers["Allow"]) == (405, "DELETE,GET")


async def test_view_for_one_method_only_is_asked_for_no_other(serve, peer):
    app = web.Application()
    app.router.add_get("/notes/{number}", Note, allow_head=False)
    served = await serve(app)
    async with peer.delete(served.url / "notes/5") as response:
        assert (response.status, response.headers["Allow"]) == (405, "GET")
