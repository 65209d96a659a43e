from __future__ import annotations

import asyncio
import html
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest

import corelet_routing.plugin
import corelet_static.plugin
from corelet import web
from corelet_static import StaticDef, StaticResource
from corelet_static.root import Root
from tests.static.tree import LARGE


async def test_files_are_served_below_the_prefix(get: Any, root: Path, make_app: Any) -> None:
    app = make_app(root)
    assert (await get(app, "/static/a.txt")).body == b"0123456789"
    assert (await get(app, "/static/sub/page.html")).field("content-type") == "text/html"
    assert (await get(app, "/static/large.bin")).body == LARGE
    assert (await get(app, "/static/a.txt?v=1")).status == 200
    assert (await get(app, "/other/a.txt")).status == 404
    answer = await get(app, "/static/a.txt", "Range: bytes=2-3\r\n")
    assert (answer.status, answer.body) == (206, b"23")


@pytest.mark.parametrize("prefix", ["/", "", "/a/b", "/é", "/a%20b"])
async def test_prefix_may_be_any_path(get: Any, root: Path, make_app: Any, prefix: str) -> None:
    app = make_app(root, prefix, name="files")
    address = str(app.router["files"].url_for(filename="sub/page.html"))
    assert (await get(app, address)).body == b"<p>"


async def test_only_get_and_head_are_answered(get: Any, root: Path, make_app: Any) -> None:
    app = make_app(root)
    answer = await get(app, "/static/a.txt", "Content-Length: 0\r\n", "POST")
    assert (answer.status, answer.field("allow")) == (405, "GET,HEAD")
    assert (await get(app, "/static/a.txt", "", "HEAD")).field("content-length") == "10"


async def test_options_may_have_a_route(get: Any, root: Path, make_app: Any) -> None:
    async def answer_options(request: web.Request) -> web.Response:
        return web.Response(text=request.match_info["filename"])

    app = make_app(root)
    (resource,) = app.router.resources()
    resource.set_options_route(answer_options)
    with pytest.raises(RuntimeError, match="has a route for OPTIONS already"):
        resource.set_options_route(answer_options)
    assert (await get(app, "/static/sub/a%20b", "", "OPTIONS")).text == "sub/a b"
    other = make_app(root)
    other.router.freeze()
    with pytest.raises(RuntimeError, match="takes no more routes"):
        next(iter(other.router.resources())).set_options_route(answer_options)


async def test_case_a_036_names_of_files_may_be_anything(get: Any, root: Path, make_app: Any) -> None:
    app = make_app(root, name="files")
    for name in (
        b"\xc3\xa9\xe4\xb8\xad.txt",
        b"a b.txt",
        b"a%20b.txt",
        b"#x",
        b"?x",
        b"a;b=c",
        b"\xff\xfe",
        b"...",
        b"a:b",
    ):
        (root / os.fsdecode(name)).write_bytes(name)
        answer = await get(app, str(app.router["files"].url_for(filename=os.fsdecode(name))))
        assert (answer.status, answer.body) == (200, name)
        assert re.fullmatch(r'"[0-9a-f]+-[0-9a-f]+"', answer.field("etag") or "")


async def test_expectation_is_answered_by_the_handler_for_it(get: Any, root: Path, make_app: Any) -> None:
    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=417)

    answer = await get(
        make_app(root, expect_handler=refuse), "/static/a.txt", "Expect: 100-continue\r\nContent-Length: 1\r\n"
    )
    assert answer.status == 417


async def test_middlewares_see_what_is_not_there(get: Any, root: Path, make_app: Any) -> None:
    async def replace(request: web.Request, handler: Any) -> web.StreamResponse:
        try:
            return await handler(request)  # type: ignore[no-any-return]
        except web.HTTPNotFound:
            return web.Response(text="instead")

    app = make_app(root)
    app.middlewares.append(replace)
    assert (await get(app, "/static/missing")).text == "instead"


async def test_later_resource_answers_where_the_method_is_another(get: Any, root: Path, make_app: Any) -> None:
    async def upload(request: web.Request) -> web.Response:
        return web.Response(text="uploaded")

    app = make_app(root)
    app.router.add_put("/static/{name}", upload)
    assert (await get(app, "/static/x", "Content-Length: 0\r\n", "PUT")).text == "uploaded"


def test_directory_has_to_be_there(tmp_path: Path, make_app: Any) -> None:
    (tmp_path / "file").write_bytes(b"")
    for name in ("missing", "file"):
        with pytest.raises(ValueError, match="is no directory that static files can come from"):
            make_app(tmp_path / name)


def test_resource_tells_what_it_is(root: Path, make_app: Any) -> None:
    (resource,) = make_app(root).router.resources()
    assert isinstance(resource, StaticResource)
    info = resource.get_info()
    assert (info["prefix"], info["directory"], list(info["routes"])) == ("/static", root, ["GET", "HEAD"])
    assert len(resource) == 2
    assert [route.method for route in resource] == ["GET", "HEAD"]
    assert repr(resource) == "<StaticResource /static>"


def test_operator_is_told_what_is_served(root: Path, make_app: Any) -> None:
    app = make_app(root)
    [lines] = app.plugins.call_all("corelet_report", app=app)
    assert lines == [f"/static serves {root}"]

    async def handler(request: Any) -> Any: ...

    bare = web.Application(handler=handler, plugins=[corelet_static.plugin])
    assert bare.plugins.call_all("corelet_report", app=bare) == [[]]


# Definitions.


async def test_definitions_are_made_before_the_application(get: Any, root: Path) -> None:
    routes = web.RouteTableDef()
    routes.static("/one", root)
    app = web.Application(plugins=[corelet_routing.plugin, corelet_static.plugin])
    added = app.add_routes([*routes, web.static("/two", str(root), name="two")])
    assert [route.method for route in added] == ["GET", "HEAD"] * 2
    assert (await get(app, "/one/a.txt")).status == (await get(app, "/two/a.txt")).status == 200
    assert isinstance(routes[0], StaticDef)
    assert repr(web.static("/a", "b", name="c")) == "<StaticDef /a -> b, name='c'>"


# Listings.


async def test_directory_is_listed_where_that_is_asked_for(get: Any, root: Path, make_app: Any) -> None:
    app = make_app(root, show_index=True)
    answer = await get(app, "/static/")
    assert (answer.status, answer.field("content-type")) == (200, "text/html; charset=utf-8")
    links = re.findall(r'<a href="(.*?)">(.*?)</a>', answer.text)
    # No links, FIFOs or sockets, which couldn't be opened either.
    assert links == [
        ("/static/sub/", "sub/"),
        ("/static/a.txt", "a.txt"),
        ("/static/empty", "empty"),
        ("/static/large.bin", "large.bin"),
    ]
    assert (await get(app, "/static")).text == answer.text.replace("Index of /static/", "Index of /static")
    for target in ("/static/sub", "/static/sub/"):
        links = re.findall(r'<a href="(.*?)">', (await get(app, target)).text)
        assert links == ["/static/", "/static/sub/page.html"]


async def test_listing_follows_links_where_that_is_asked_for(get: Any, root: Path, make_app: Any) -> None:
    answer = await get(make_app(root, show_index=True, follow_symlinks=True), "/static/")
    names = re.findall(r">([^<]*)</a>", answer.text)
    assert names == ["linked/", "sub/", "a.txt", "empty", "inside", "large.bin", "link"]


async def test_case_a_034_advisory_cve_2024_27306_names_are_escaped(get: Any, tmp_path: Path, make_app: Any) -> None:
    names = ["<img src=x onerror=alert(1)>.txt", "\"'&.txt", "a%20b", "é", "javascript:alert(1)", os.fsdecode(b"\xff")]
    for name in names:
        (tmp_path / name).write_bytes(b"")
    page = (await get(make_app(tmp_path, show_index=True), "/static/")).text
    assert "<img" not in page
    links = re.findall(r'<a href="([^"]*)">([^<]*)</a>', page)
    addresses = [os.fsdecode(unquote_to_bytes(html.unescape(address).removeprefix("/static/"))) for address, _ in links]
    assert sorted(addresses) == sorted(names)
    assert all(address.startswith("/static/") for address, _ in links)


async def test_path_of_a_listing_is_escaped(get: Any, tmp_path: Path, make_app: Any) -> None:
    (tmp_path / "<b>").mkdir()
    page = (await get(make_app(tmp_path, show_index=True), "/static/%3Cb%3E/")).text
    assert "<b>" not in page
    assert "&lt;b&gt;" in page


@pytest.mark.parametrize(
    "target", ["/static/fifo", "/static/missing", "/static/missing/", "/static/linked/", "/static/a.txt/"]
)
async def test_what_is_no_directory_is_not_listed(get: Any, root: Path, make_app: Any, target: str) -> None:
    assert (await get(make_app(root, show_index=True), target)).status == (403 if target.endswith("fifo") else 404)


async def test_listing_is_bounded(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corelet_static.root.MAX_ENTRIES", 2)
    assert len(Root(root).list_directory([""])) == 2


# Addresses.


def test_address_has_a_version_that_changes_with_the_content(root: Path, make_app: Any) -> None:
    (resource,) = make_app(root, append_version=True).router.resources()
    first = resource.url_for(filename="a.txt")
    assert re.fullmatch(r"/static/a\.txt\?v=[0-9A-Za-z_-]{43}", str(first))
    assert resource.url_for(filename=Path("a.txt")) == first
    (root / "a.txt").write_bytes(b"other content")
    assert resource.url_for(filename="a.txt") != first
    assert str(resource.url_for(filename="a.txt", append_version=False)) == "/static/a.txt"


def test_content_is_read_again_only_where_the_file_has_changed(root: Path, make_app: Any, monkeypatch: Any) -> None:
    import hashlib

    (resource,) = make_app(root, append_version=True).router.resources()
    first = resource.url_for(filename="a.txt")
    monkeypatch.setattr(hashlib, "file_digest", None)
    assert resource.url_for(filename="a.txt") == first


@pytest.mark.parametrize("filename", ["missing", "../secret", "link", "sub", ""])
def test_address_of_what_is_not_served_has_no_version(root: Path, make_app: Any, filename: str) -> None:
    (resource,) = make_app(root).router.resources()
    assert "v" not in resource.url_for(filename=filename, append_version=True).query


async def test_versioned_address_leads_to_the_file(get: Any, root: Path, make_app: Any) -> None:
    app = make_app(root, name="files", append_version=True)
    address = await asyncio.to_thread(app.router["files"].url_for, filename="sub/page.html")
    assert (await get(app, str(address))).body == b"<p>"
