"""StaticResource: the files of a directory below a prefix."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote

from yarl import URL

from corelet import web
from corelet.web import AbstractRoute, PrefixResource, ResourceRoute, UrlMappingMatchInfo

from .file_response import FileResponse, translate_error
from .listing import make_listing
from .root import Root, split_path

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .opened_file import OpenedFile

#: Characters of a segment that need no percent-encoding. Source: RFC 3986 section 3.3, pchar.
_PCHARS: Final = "!$&'()*+,;=:@"


class StaticResource(PrefixResource):
    """Serve the files of a directory below a prefix.

    Whatever a path says, only files below the directory are sent. What is not there is a 404; a directory, a device and
    what can't be read are a 403; a method other than GET and HEAD is a 405.

    Args:
        prefix: of the addresses: ``/static``.
        directory: has to exist.
        name: the key in the router.
        expect_handler: answers ``Expect: 100-continue``; None for the kernel's.
        chunk_size: as of :class:`FileResponse`.
        show_index: answer for a directory with a list of what is in it.
        follow_symlinks: follow symbolic links, also those that lead out of the directory.
        append_version: have :meth:`url_for` add a version to addresses.

    Raises:
        ValueError: there is no such directory, or the prefix is none.
    """

    #: The name of the query's field that has the version.
    VERSION_KEY = "v"

    def __init__(
        self,
        prefix: str,
        directory: str | os.PathLike[str],
        *,
        name: str | None = None,
        expect_handler: Callable[[Any], Awaitable[Any]] | None = None,
        chunk_size: int = 262_144,
        show_index: bool = False,
        follow_symlinks: bool = False,
        append_version: bool = False,
    ) -> None:
        super().__init__(prefix, name=name)
        self._root = Root(directory, follow_symlinks=follow_symlinks)
        self._chunk_size = chunk_size
        self._show_index = show_index
        self._append_version = append_version
        self._expect_handler = expect_handler
        # Slashes before what follows the prefix.
        self._depth = 1 + len(self.segments)
        self._versions: dict[tuple[str, ...], tuple[tuple[int, int], str]] = {}
        self._routes = {
            method: ResourceRoute(method, self._handle, self, expect_handler=expect_handler)
            for method in ("GET", "HEAD")
        }

    def __len__(self) -> int:
        return len(self._routes)

    def __iter__(self) -> Iterator[AbstractRoute]:
        return iter(self._routes.values())

    def get_info(self) -> dict[str, Any]:
        """Facts: ``prefix``, ``directory`` and ``routes``."""
        return {"directory": self._root.path, "prefix": self.canonical, "routes": dict(self._routes)}

    def set_options_route(self, handler: Callable[[Any], Awaitable[Any]]) -> None:
        """Add a route for OPTIONS.

        Raises:
            RuntimeError: there is one, or the application has started.
        """
        if "OPTIONS" in self._routes:
            raise RuntimeError(f"{self!r} has a route for OPTIONS already")
        if self.frozen:
            raise RuntimeError(f"{self!r} takes no more routes: its application has started")
        self._routes["OPTIONS"] = ResourceRoute("OPTIONS", handler, self, expect_handler=self._expect_handler)

    async def resolve(self, request: Any) -> tuple[UrlMappingMatchInfo | None, set[str]]:
        """Match a request; see :meth:`AbstractResource.resolve`."""
        methods = set(self._routes)
        route = self._routes.get(request.method)
        if route is None:
            return None, methods
        tail = self._find_tail(request)
        return UrlMappingMatchInfo({"filename": unquote(tail) if "%" in tail else tail}, route), methods

    def _find_tail(self, request: Any) -> str:
        """Find what follows the prefix, percent-encoded, without the slash at its front."""
        # The router gives only what is below the prefix, which has no slash that is encoded.
        parts = request.match_path.split("/", self._depth)
        return parts[-1] if len(parts) > self._depth else ""

    def add_prefix(self, prefix: str) -> None:
        """Move below a prefix, as :meth:`AbstractResource.add_prefix`."""
        super().add_prefix(prefix)
        self._depth = 1 + len(self.segments)

    # Answering.

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        names = split_path(self._find_tail(request))
        if names is None:
            raise web.HTTPNotFound
        loop = asyncio.get_running_loop()
        opening = partial(
            self._root.open_file,
            names,
            request.headers.get("Accept-Encoding", ""),
            reads_small=request.method != "HEAD",
        )
        try:
            file = await loop.run_in_executor(None, opening)
        except OSError as exc:
            error = translate_error(exc)
            if self._show_index and isinstance(error, web.HTTPForbidden):
                return await self._list(request, names, error)
            raise error from exc
        return self._make_response(names[-1], file)

    def _make_response(self, name: str, file: OpenedFile) -> FileResponse:
        response = FileResponse(name, self._chunk_size)
        response.take_file(file)
        return response

    async def _list(self, request: web.Request, names: list[str], error: Exception) -> web.Response:
        """Answer for a directory; with the error where it is something else."""
        try:
            entries = await asyncio.get_running_loop().run_in_executor(None, self._root.list_directory, names)
        except OSError as exc:
            raise error from exc
        path = request.match_path.rstrip("/") + "/"
        page = make_listing(path, request.path, entries, has_parent=any(names))
        return web.Response(text=page, content_type="text/html")

    # Addresses.

    def url_for(  # type: ignore[override]  # the variable is the name of a file, which may be a path
        self, *, filename: str | os.PathLike[str], append_version: bool | None = None
    ) -> URL:
        """Make the address of a file.

        Args:
            filename: below the directory: ``css/page.css``.
            append_version: add a version, which changes with the content: peers may keep what has it for ever. As the
                resource was made with unless given; nothing is added for what can't be read. Reads the file, each
                time that it has changed.

        Returns:
            A relative URL with an absolute path.
        """
        names = [name for name in os.fspath(filename).replace(os.sep, "/").split("/") if name]
        path = "/".join(
            [quote(self.canonical, safe=f"/%{_PCHARS}"), *(quote(os.fsencode(name), safe=_PCHARS) for name in names)]
        )
        url = URL.build(path=path, encoded=True)
        if not (self._append_version if append_version is None else append_version):
            return url
        version = self._find_version(tuple(names))
        return url if version is None else url.with_query({self.VERSION_KEY: version})

    def _find_version(self, names: tuple[str, ...]) -> str | None:
        if not names or split_path("/".join(quote(os.fsencode(name)) for name in names)) is None:
            return None
        try:
            file = self._root.open_file(names, "", reads_small=False)
        except OSError:
            return None
        with file.file:
            state = (file.facts.st_mtime_ns, file.facts.st_size)
            known = self._versions.get(names)
            if known is not None and known[0] == state:
                return known[1]
            digest = hashlib.file_digest(file.file, "sha256").digest()
        version = base64.urlsafe_b64encode(digest).decode("ascii").rstrip("=")
        self._versions[names] = (state, version)
        return version
