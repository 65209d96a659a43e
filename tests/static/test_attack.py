"""Nothing outside of the root is reached, whatever a path says; each case of an attack names it."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from corelet_static.root import Root, split_path
from tests.conftest import Connect, Serve
from tests.static.tree import SECRET

NOT_FOUND = {
    "dots (a-023, aiohttp #380)": [
        "/static/../secret",
        "/static/sub/../../secret",
        "/static/..",
        "/static/../",
        "/static/./a.txt",
        "/static/.",
    ],
    "dots that are encoded (a-025)": ["/static/%2e%2e/secret", "/static/%2e%2e/%2e%2e/secret", "/static/.%2e/secret"],
    "slashes that are encoded (a-024)": ["/static/..%2fsecret", "/static/..%2f..%2fsecret", "/static/sub%2fpage.html"],
    "encoded twice": ["/static/%252e%252e/secret", "/static/..%252fsecret", "/static/%25%32%65%25%32%65/secret"],
    "backslashes (a-026)": [
        "/static/..%5csecret",
        "/static/..%5c..%5csecret",
        "/static/sub%5cpage.html",
        "/static/..\\secret",
    ],
    "an absolute path (a-027)": [
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static///etc/passwd",
        "/static//a.txt",
    ],
    "Windows (a-029, CVE-2026-34515)": [
        "/static/C:/Windows/win.ini",
        "/static//server/share/x",
        "/static/c:%5cboot.ini",
        "/static/a.txt::$DATA",
    ],
    "a sibling of the same prefix (a-030)": ["/static/../static-secret/x", "/static-secret/x", "/static%2d/x"],
    "symbolic links (a-031)": [
        "/static/link",
        "/static/linked/x",
        "/static/inside",
        "/static/nowhere",
        "/static/circle",
    ],
    "case": ["/static/A.TXT", "/STATIC/a.txt", "/static/SUB/page.html"],
    "unicode": [
        "/static/%ef%bc%8e%ef%bc%8e/secret",  # full-width dots
        "/static/..%ef%bc%8fsecret",  # a full-width slash
        "/static/..%e2%88%95secret",  # a division slash
        "/static/%c0%ae%c0%ae/secret",  # dots that are too long
        "/static/..%c0%afsecret",  # a slash that is too long
        "/static/%ff",
    ],
    "nothing": ["/static/missing", "/static/sub/missing", "/static/a.txt/", "/static/a.txt/x", "/static/missing/"],
    "a name that is too long": ["/static/" + "a" * 300, "/static/" + "a/" * 3000],
}


@pytest.mark.parametrize("name", NOT_FOUND)
async def test_cases_a_023_to_a_032_path_that_names_no_file_below_the_root_is_a_404(
    serve: Serve, connect: Connect, root: Path, make_app: Any, name: str
) -> None:
    client = await connect(await serve(make_app(root)))
    for target in NOT_FOUND[name]:
        answer = await client.get(target)
        assert (answer.status, SECRET in answer.body) == (404, False), target


@pytest.mark.parametrize(
    "target", ["/static/%00", "/static/a.txt%00", "/static/a.txt%00.html", "/static/%00/../secret"]
)
async def test_case_a_028_nul_in_a_path_comes_as_far_as_the_wire(
    get: Any, root: Path, make_app: Any, target: str
) -> None:
    assert (await get(make_app(root), target)).status == 400
    assert split_path(target.removeprefix("/static/")) is None


BELOW = [target for targets in NOT_FOUND.values() for target in targets if target.startswith("/static/")]


@pytest.mark.parametrize("target", BELOW)
async def test_advisories_cve_2017_16762_cve_2022_35920_cve_2023_29159_cve_2024_49766_below_the_root_of_all_paths(
    get: Any, root: Path, make_app: Any, target: str
) -> None:
    # Below "/" every path comes here.
    answer = await get(make_app(root, "/"), target.removeprefix("/static"))
    assert answer.status == 404
    assert SECRET not in answer.body


@pytest.mark.parametrize(
    "target",
    [
        "/static/../secret",
        "/static/%2e%2e/secret",
        "/static/sub/../../secret",
        "/static/..%2fsecret",
        "/static//etc/passwd",
    ],
)
async def test_case_a_032_advisory_cve_2024_23334_following_links_follows_no_dots(
    get: Any, root: Path, make_app: Any, target: str
) -> None:
    assert (await get(make_app(root, follow_symlinks=True), target)).status == 404


async def test_links_are_followed_where_that_is_asked_for(get: Any, root: Path, make_app: Any) -> None:
    app = make_app(root, follow_symlinks=True)
    assert (await get(app, "/static/link")).body == SECRET
    assert (await get(app, "/static/linked/x")).body == SECRET
    assert (await get(app, "/static/inside")).body == b"0123456789"
    assert (await get(app, "/static/nowhere")).status == 404
    assert (await get(app, "/static/circle")).status == 404


@pytest.mark.parametrize("suffix", [".gz", ".br", ".zst"])
async def test_case_a_033_advisory_cve_2024_42367_sibling_that_is_a_link_is_not_followed(
    get: Any, root: Path, make_app: Any, suffix: str
) -> None:
    (root / f"a.txt{suffix}").symlink_to(root.parent / "secret")
    answer = await get(make_app(root), "/static/a.txt", "Accept-Encoding: gzip, br, zstd\r\n")
    assert (answer.body, answer.field("content-encoding")) == (b"0123456789", None)


async def test_case_a_035_advisory_cve_2025_69226_answers_tell_nothing_of_what_is_outside(
    get: Any, root: Path, make_app: Any
) -> None:
    app = make_app(root)
    answers = [await get(app, f"/static/{path}") for path in ("../secret", "../missing", "..%2fsecret", "..%2fmissing")]
    assert len({(answer.status, answer.body) for answer in answers}) == 1
    assert [(await get(app, path)).status for path in ("/static/", "/static", "/static/sub", "/static/sub/")] == [
        403
    ] * 4


@pytest.mark.parametrize("name", ["fifo", "socket"])
async def test_case_a_037_special_files_are_refused_and_hold_up_nobody(
    get: Any, root: Path, make_app: Any, name: str
) -> None:
    for follow in (False, True):
        answer = await asyncio.wait_for(get(make_app(root, follow_symlinks=follow), f"/static/{name}"), 5)
        assert answer.status == 403


async def test_device_is_refused(get: Any, root: Path, make_app: Any) -> None:
    (root / "zero").symlink_to("/dev/zero")
    assert (await get(make_app(root, follow_symlinks=True), "/static/zero")).status == 403


async def test_file_that_can_not_be_read_is_a_403(
    get: Any, root: Path, make_app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whoever runs the tests may be allowed to read everything.
    def refuse(*arguments: Any) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Root, "open_below", refuse)
    assert (await get(make_app(root), "/static/a.txt")).status == 403


async def test_directory_that_becomes_a_link_leads_nowhere(root: Path) -> None:
    files = Root(root)
    (root / "sub" / "page.html").unlink()
    (root / "sub").rmdir()
    (root / "sub").symlink_to(root.parent / "static-secret")
    with pytest.raises(OSError, match=r"Not a directory|symbolic"):
        files.open_file(["sub", "x"], "", reads_small=True)


@pytest.mark.parametrize(("tail", "names"), [("", [""]), ("a/b", ["a", "b"]), ("a/", ["a", ""]), ("a%20%25", ["a %"])])
def test_path_is_taken_apart_once(tail: str, names: list[str]) -> None:
    assert split_path(tail) == names


async def test_root_without_descriptors_of_directories_is_as_closed(
    get: Any, root: Path, make_app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As on Windows.
    monkeypatch.setattr("corelet_static.root._CAN_WALK", False)
    monkeypatch.setattr("corelet_static.root._NO_FOLLOW", 0)
    app = make_app(root)
    for targets in NOT_FOUND.values():
        for target in targets:
            assert (await get(app, target)).status == 404, target
    assert (await get(app, "/static/sub/page.html")).body == b"<p>"
    assert (await get(app, "/static/sub")).status == 403


async def test_server_that_has_no_descriptors_left_is_a_500(
    get: Any, root: Path, make_app: Any, monkeypatch: pytest.MonkeyPatch, expect_error_log: list[logging.LogRecord]
) -> None:
    def refuse(*arguments: Any, **kwargs: Any) -> int:
        raise OSError(24, "Too many open files")

    app = make_app(root)
    monkeypatch.setattr(Root, "open_below", refuse)
    assert (await get(app, "/static/a.txt")).status == 500
    assert "Too many open files" in str(expect_error_log[0].exc_info)
