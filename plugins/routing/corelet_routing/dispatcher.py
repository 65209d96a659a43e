"""The dispatcher: all resources of an application, and which of them answers a request.

One rule decides: **resources are tried in the order of their registration, and the first whose pattern matches and
that has the method answers.** A resource that matches and lacks the method is passed over; if no later one answers, it
is 405 with the methods of all that matched, and if none matched 404. How special a pattern is doesn't matter.

The rule is kept without trying: at freeze the resources become a tree of path segments, and every path without
variables an entry of one dict, as far as no pattern registered earlier matches it too.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Sized
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from corelet import web
from corelet.abc import AbstractMatchInfo, AbstractRouter, AbstractView

from .definition import AbstractRouteDef
from .match_info import MethodNotAllowedInfo, NotFoundInfo, UrlMappingMatchInfo
from .method_route import METH_ANY, AbstractRoute, ExpectHandler, RouteHandler
from .pattern import decode_path
from .resource import (
    AbstractResource,
    Certain,
    DynamicResource,
    PlainResource,
    PrefixResource,
    Resource,
    check_prefix,
)
from .tree import Candidate, Tree

if TYPE_CHECKING:
    import os

_NO_VALUES: Final[Mapping[str, str]] = MappingProxyType({})
_NO_METHODS: Final[frozenset[str]] = frozenset()
_NOTHING_CERTAIN: Final[Mapping[str, Certain]] = MappingProxyType({})
_NAME_SEPARATOR: Final = re.compile("[.:-]")


class ResourcesView(Sized, Iterable[AbstractResource]):
    """The resources of a router, in the order of their registration."""

    def __init__(self, resources: Sequence[AbstractResource]) -> None:
        self._resources = resources

    def __len__(self) -> int:
        return len(self._resources)

    def __iter__(self) -> Iterator[AbstractResource]:
        return iter(self._resources)

    def __contains__(self, resource: object) -> bool:
        return resource in self._resources


class RoutesView(Sized, Iterable[AbstractRoute]):
    """The routes of all resources of a router, in the order of their registration."""

    def __init__(self, resources: Sequence[AbstractResource]) -> None:
        self._routes = [route for resource in resources for route in resource]

    def __len__(self) -> int:
        return len(self._routes)

    def __iter__(self) -> Iterator[AbstractRoute]:
        return iter(self._routes)

    def __contains__(self, route: object) -> bool:
        return route in self._routes


class UrlDispatcher(AbstractRouter, Mapping[str, AbstractResource]):
    """Find the route of a request. A mapping of named resources.

    The first registered resource that matches the path and has the method answers; the head of this module has the
    rule in full. Routes are added until the application starts.
    """

    def __init__(self) -> None:
        super().__init__()
        self._apps: tuple[Any, ...] = ()
        self._resources: list[AbstractResource] = []
        self._named: dict[str, AbstractResource] = {}
        self._unindexed: set[AbstractResource] = set()
        self._prefix = ""
        self._certain: dict[str, Mapping[str, Certain]] = {}
        self._tree: Tree | None = None

    def post_init(self, app: Any) -> None:
        """Take the application, and add the routes that plugins have for it by ``corelet_routing_routes``.

        Raises:
            RuntimeError: the router serves another application already.
        """
        if self._apps:
            raise RuntimeError(f"{self!r} serves {self._apps[0]!r} already: an application needs a router of its own")
        self._apps = (app,)
        # An application may have this router without the plugin that defines the hook.
        hook = getattr(app.plugins.pluggy.hook, "corelet_routing_routes", None)
        if hook is not None and hook.has_spec():
            for definitions in app.plugins.call_all("corelet_routing_routes", app=app):
                self.add_routes(definitions)

    def find(self, request: Any) -> AbstractMatchInfo | None:
        """Find the match for a request at once; None where a resource of somebody else's making has to be awaited.

        A path without variables costs one look into a dict. Before :meth:`freeze` each call compiles the tree anew.

        Args:
            request: has ``method`` and ``match_path``, the path with its percent-encoding normalised.

        Returns:
            A new match info; where nothing matched one whose ``http_exception`` is a 404 or 405.
        """
        path = request.match_path
        by_method = self._certain.get(path)
        if by_method is not None:
            certain = by_method.get(request.method)
            if certain is not None:
                return UrlMappingMatchInfo(_NO_VALUES, certain[0], certain[1])
        if "%" in path:
            path = decode_path(path)
        segments = path.split("/")
        methods: Collection[str]
        allowed = _NO_METHODS
        for candidate in (self._tree or self._compile()).find(path, segments):
            if candidate.pattern is None:
                found = candidate.resource.find(request)
                if found is None:
                    return None
                info, methods = found
                if info is not None:
                    self._join(info)
            else:
                info, methods = candidate.find(request.method, path, segments, self._apps)
            if info is not None:
                return info
            allowed = allowed.union(methods)
        return self._refuse(request, allowed)

    async def resolve(self, request: Any) -> AbstractMatchInfo:
        """Find the match for a request; as :meth:`find`, and waits where a resource has to."""
        path = decode_path(request.match_path)
        segments = path.split("/")
        methods: Collection[str]
        allowed = _NO_METHODS
        for candidate in (self._tree or self._compile()).find(path, segments):
            if candidate.pattern is None:
                info, methods = await candidate.resource.resolve(request)
                if info is not None:
                    self._join(info)
            else:
                info, methods = candidate.find(request.method, path, segments, self._apps)
            if info is not None:
                return info
            allowed = allowed.union(methods)
        return self._refuse(request, allowed)

    def _refuse(self, request: Any, allowed: frozenset[str]) -> UrlMappingMatchInfo:
        return MethodNotAllowedInfo(request.method, allowed, self._apps) if allowed else NotFoundInfo(self._apps)

    def _join(self, info: AbstractMatchInfo) -> None:
        for app in self._apps:
            info.add_app(app)

    def freeze(self) -> None:
        """Take no more routes, and compile the lookup."""
        super().freeze()
        for resource in self._resources:
            resource.freeze()
        self._compile()

    def _compile(self) -> Tree:
        tree = Tree()
        for order, resource in enumerate(sorted(self._resources, key=lambda each: not each.goes_first)):
            if resource not in self._unindexed:
                _add_to_tree(tree, order, resource)
        if self.frozen:
            self._tree = tree
            plain = [each.pattern.plain_path for each in self._resources if isinstance(each, PlainResource)]
            plain += [path for each in self._resources for path in each.certain]
            self._certain = {path: self._find_certain(tree, path) for path in plain}
        return tree

    def _find_certain(self, tree: Tree, path: str) -> dict[str, Certain]:
        """Find who answers a plain path whatever else is there: all before the first pattern that matches it."""
        by_method: dict[str, Certain] = {}
        segments = path.split("/")
        for candidate in tree.find(path, segments):
            if candidate.pattern is None:
                for method, (route, apps) in candidate.resource.certain.get(path, _NOTHING_CERTAIN).items():
                    by_method.setdefault(method, (route, (*self._apps, *apps)))
                break
            if candidate.pattern.match(path) is None:
                continue
            if not candidate.pattern.is_plain:
                break
            for method, route in candidate.routes.items():
                by_method.setdefault(method, (route, self._apps))
            if METH_ANY in candidate.routes:
                break
        return by_method

    @property
    def certain(self) -> Mapping[str, Mapping[str, Certain]]:
        """Who answers paths without variables, by path and method; once the router is frozen.

        A path is the whole one, as :func:`decode_path` gives it. What is not here is found by :meth:`find`.
        """
        return MappingProxyType(self._certain)

    # Resources.

    def resources(self) -> ResourcesView:
        """All resources, in the order of their registration."""
        return ResourcesView(self._resources)

    def routes(self) -> RoutesView:
        """All routes, in the order of their resources; those of mounted applications as well."""
        return RoutesView(self._resources)

    def named_resources(self) -> Mapping[str, AbstractResource]:
        """The resources that have a name, by it."""
        return MappingProxyType(self._named)

    def __getitem__(self, name: str) -> AbstractResource:
        return self._named[name]

    def __len__(self) -> int:
        return len(self._named)

    def __iter__(self) -> Iterator[str]:
        return iter(self._named)

    def __contains__(self, name: object) -> bool:
        return name in self._named

    def __repr__(self) -> str:
        return f"<UrlDispatcher {len(self._resources)} resources>"

    def register_resource(self, resource: AbstractResource) -> None:
        """Add a resource after all others; below the prefix of the router, if it has one.

        Args:
            resource: a resource that no router has yet.

        Raises:
            RuntimeError: the application has started.
            ValueError: its name is taken, or is not made of identifiers joined by ``.``, ``:`` or ``-``.
        """
        if self.frozen:
            raise RuntimeError(f"{resource!r} comes too late: routes are added before the application starts")
        if resource.name is not None:
            self._register_name(resource.name, resource)
        if self._prefix:
            resource.add_prefix(self._prefix)
        self._resources.append(resource)

    def _register_name(self, name: str, resource: AbstractResource) -> None:
        for part in _NAME_SEPARATOR.split(name):
            if keyword.iskeyword(part):
                raise ValueError(f"resource name {name!r} has the Python keyword {part!r}: choose another word")
            if not part.isidentifier():
                raise ValueError(
                    f"resource name {name!r} must be identifiers joined by '.', ':' or '-'; {part!r} is none"
                )
        taken = self._named.setdefault(name, resource)
        if taken is not resource:
            raise ValueError(f"resource name {name!r} is taken by {taken!r}")

    def index_resource(self, resource: AbstractResource) -> None:
        """Look a registered resource up again, by what it is now and in its old rank; see :meth:`unindex_resource`."""
        self._unindexed.discard(resource)
        self._forget_lookup()

    def unindex_resource(self, resource: AbstractResource) -> None:
        """Look a registered resource up no more, until :meth:`index_resource`; also when frozen.

        Around a call of ``resource.add_prefix`` the two tell the router that the resource has moved.

        Raises:
            ValueError: the router doesn't have the resource.
        """
        if resource not in self._resources:
            raise ValueError(f"{resource!r} is none of this router's resources")
        self._unindexed.add(resource)
        self._forget_lookup()

    def add_prefix(self, prefix: str) -> None:
        """Move all resources, those that are registered later too, below a prefix.

        Args:
            prefix: as of :meth:`AbstractResource.add_prefix`.

        Raises:
            RuntimeError: the application has started.
            ValueError: the prefix is none.
        """
        if self.frozen:
            raise RuntimeError(f"{self!r} can't be moved below {prefix!r} any more: its application has started")
        check_prefix(prefix)
        self._prefix = prefix + self._prefix
        for resource in self._resources:
            resource.add_prefix(prefix)
        self._forget_lookup()

    def _forget_lookup(self) -> None:
        self._tree = None
        self._certain = {}

    # Routes.

    def add_resource(self, path: str, *, name: str | None = None) -> Resource:
        """Get the resource of a path: the last one if it has the very path and name, else a new one.

        Args:
            path: a path or a pattern, as described in :mod:`corelet_routing.pattern`.
            name: the key in the router; None for no name.

        Raises:
            RuntimeError: the application has started.
            ValueError: the pattern is malformed, or the name is none or taken.
        """
        last = self._resources[-1] if self._resources else None
        if isinstance(last, Resource) and last.name == name and last.raw_match(self._prefix + path):
            return last
        is_dynamic = "{" in path or "}" in path
        resource = DynamicResource(path, name=name) if is_dynamic else PlainResource(path, name=name)
        self.register_resource(resource)
        return resource

    def add_route(
        self,
        method: str,
        path: str,
        handler: RouteHandler,
        *,
        name: str | None = None,
        expect_handler: ExpectHandler | None = None,
    ) -> AbstractRoute:
        """Add a route.

        Args:
            method: the method, or ``*`` for all.
            path: a path or a pattern, as of :meth:`add_resource`.
            handler: a coroutine function, a callable object that returns an awaitable, or an AbstractView class.
            name: as of :meth:`add_resource`.
            expect_handler: a coroutine function that answers ``Expect: 100-continue``; None for the kernel's.

        Returns:
            The new route.

        Raises:
            RuntimeError: the application has started, or the method has a route.
            TypeError: a handler can't be awaited.
            ValueError: the pattern is malformed, the name is none or taken, or the method is no token.
        """
        return self.add_resource(path, name=name).add_route(method, handler, expect_handler=expect_handler)

    def add_head(self, path: str, handler: RouteHandler, **kwargs: Any) -> AbstractRoute:
        """Add a route for HEAD, as :meth:`add_route`."""
        return self.add_route("HEAD", path, handler, **kwargs)

    def add_options(self, path: str, handler: RouteHandler, **kwargs: Any) -> AbstractRoute:
        """Add a route for OPTIONS, as :meth:`add_route`."""
        return self.add_route("OPTIONS", path, handler, **kwargs)

    def add_get(
        self, path: str, handler: RouteHandler, *, name: str | None = None, allow_head: bool = True, **kwargs: Any
    ) -> AbstractRoute:
        """Add a route for GET, and one for HEAD.

        Args:
            path: as of :meth:`add_route`.
            handler: as of :meth:`add_route`.
            name: as of :meth:`add_route`.
            allow_head: whether it answers HEAD as well.
            **kwargs: as of :meth:`add_route`.

        Returns:
            The route for GET.

        Raises:
            RuntimeError: as :meth:`add_route`; also where HEAD has a route already and ``allow_head`` is true.
        """
        resource = self.add_resource(path, name=name)
        if allow_head:
            resource.add_route("HEAD", handler, **kwargs)
        return resource.add_route("GET", handler, **kwargs)

    def add_post(self, path: str, handler: RouteHandler, **kwargs: Any) -> AbstractRoute:
        """Add a route for POST, as :meth:`add_route`."""
        return self.add_route("POST", path, handler, **kwargs)

    def add_put(self, path: str, handler: RouteHandler, **kwargs: Any) -> AbstractRoute:
        """Add a route for PUT, as :meth:`add_route`."""
        return self.add_route("PUT", path, handler, **kwargs)

    def add_patch(self, path: str, handler: RouteHandler, **kwargs: Any) -> AbstractRoute:
        """Add a route for PATCH, as :meth:`add_route`."""
        return self.add_route("PATCH", path, handler, **kwargs)

    def add_delete(self, path: str, handler: RouteHandler, **kwargs: Any) -> AbstractRoute:
        """Add a route for DELETE, as :meth:`add_route`."""
        return self.add_route("DELETE", path, handler, **kwargs)

    def add_view(self, path: str, handler: type[AbstractView], **kwargs: Any) -> AbstractRoute:
        """Add a class-based view, which answers every method, as :meth:`add_route`."""
        return self.add_route(METH_ANY, path, handler, **kwargs)

    def add_routes(self, routes: Iterable[AbstractRouteDef]) -> list[AbstractRoute]:
        """Add route definitions, such as a RouteTableDef.

        Returns:
            The new routes, in the order of their definitions.

        Raises:
            RuntimeError, TypeError, ValueError: as :meth:`add_route`.
        """
        if isinstance(routes, AbstractRouteDef):
            raise TypeError(f"add_routes takes a list of route definitions, as [{routes!r}], or a RouteTableDef")
        return [route for definition in routes for route in definition.register(self)]

    def add_static(
        self,
        prefix: str,
        path: str | os.PathLike[str],
        *,
        name: str | None = None,
        expect_handler: ExpectHandler | None = None,
        chunk_size: int = 262_144,
        show_index: bool = False,
        follow_symlinks: bool = False,
        append_version: bool = False,
    ) -> AbstractResource:
        """Serve the files of a directory below a prefix.

        The port of a plugin that exports ``web.StaticResource``, which gets these arguments and documents them.

        Raises:
            MissingPluginError: no plugin exports it.
        """
        resource: AbstractResource = web.StaticResource(
            prefix,
            path,
            name=name,
            expect_handler=expect_handler,
            chunk_size=chunk_size,
            show_index=show_index,
            follow_symlinks=follow_symlinks,
            append_version=append_version,
        )
        self.register_resource(resource)
        return resource


def _add_to_tree(tree: Tree, order: int, resource: AbstractResource) -> None:
    if isinstance(resource, Resource) and type(resource).resolve is Resource.resolve:
        tree.add_pattern(Candidate(order, resource, resource.pattern, resource.methods), resource.pattern)
    else:
        tree.add_prefix(
            Candidate(order, resource), ("", *resource.segments) if isinstance(resource, PrefixResource) else ()
        )
