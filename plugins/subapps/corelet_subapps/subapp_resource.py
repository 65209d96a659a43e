"""What stands for a mounted application in the router of the outer one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from corelet.abc import AbstractMatchInfo, AbstractRouter
from corelet.web import AbstractResource, AbstractRoute, ResourceRoute, UrlDispatcher, UrlMappingMatchInfo

if TYPE_CHECKING:
    from yarl import URL

    from corelet.web import Application

#: The methods beside a match: none, since an inner application's 405 is its own.
_NO_METHODS: Final[frozenset[str]] = frozenset()


class SubAppResource(AbstractResource):
    """The base of resources that stand for a mounted application. Iterating gives the application's routes.

    What the resource answers for is the inner application's alone, its 404 and 405 too: no resource after it is tried.

    Attributes:
        app: the mounted application.
        router: what finds its handlers.
    """

    app: Application
    router: AbstractRouter

    def hold(self, app: Application, prefix: str) -> None:
        """Take an application, and move its routes below a prefix; empty for none."""
        self.app = app
        self.router = app.router if app.handler is None else _HandlerRouter(app, self)
        if prefix:
            self.router.add_prefix(prefix)

    @property
    def certain(self) -> Mapping[str, Mapping[str, tuple[AbstractRoute, tuple[Any, ...]]]]:
        """What the application's router is certain of, if it tells."""
        return self.router.certain if isinstance(self.router, UrlDispatcher) else {}

    def find(self, request: Any) -> tuple[AbstractMatchInfo | None, Collection[str]] | None:
        """Match a request at once, as the application's router does."""
        info = self.router.find(request)
        return None if info is None else (info, _NO_METHODS)

    async def resolve(self, request: Any) -> tuple[AbstractMatchInfo | None, set[str]]:
        """Match a request, as the application's router does."""
        return await self.router.resolve(request), set()

    def url_for(self, *args: str, **kwargs: str) -> URL:
        """Raise RuntimeError: routes have URLs, applications don't."""
        raise RuntimeError(f"{self!r} has no URL: name a resource of the application and ask that")

    def raw_match(self, path: str) -> bool:
        """Whether ``add_resource`` gives it again: never."""
        return False

    def __iter__(self) -> Iterator[AbstractRoute]:
        return iter(self.router.routes())

    def __len__(self) -> int:
        return sum(1 for _ in self.router.routes())


class _HandlerRouter(AbstractRouter):
    """Finds the one handler of an application without a router, for any path and method."""

    def __init__(self, app: Application, resource: AbstractResource) -> None:
        super().__init__()
        assert app.handler is not None
        self._apps = (app,)
        self._route = ResourceRoute("*", app.handler, resource)

    def add_prefix(self, prefix: str) -> None:
        pass  # it has no paths

    def routes(self) -> Iterable[AbstractRoute]:
        return (self._route,)

    def find(self, request: Any) -> UrlMappingMatchInfo:
        return UrlMappingMatchInfo({}, self._route, self._apps)

    async def resolve(self, request: Any) -> UrlMappingMatchInfo:
        return self.find(request)


def get_dispatcher(app: Application) -> UrlDispatcher:
    """Get the router of an outer application.

    Raises:
        TypeError: it is one that takes no resources.
    """
    router = app.router
    if not isinstance(router, UrlDispatcher):
        raise TypeError(
            f"{router!r} takes no resources: corelet-subapps mounts in an application whose router is a "
            "web.UrlDispatcher; for another router block it by CORELET_BLOCK=subapps and mount by a plugin of its own"
        )
    return router
