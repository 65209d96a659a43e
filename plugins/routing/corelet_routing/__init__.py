"""Routing for corelet: an application's router, route tables and class-based views, all public in ``corelet.web``."""

from __future__ import annotations

from .class_view import View
from .definition import (
    AbstractRouteDef,
    RouteDef,
    RouteTableDef,
    delete,
    get,
    head,
    options,
    patch,
    post,
    put,
    route,
    view,
)
from .dispatcher import ResourcesView, RoutesView, UrlDispatcher
from .match_info import UrlMappingMatchInfo
from .method_route import AbstractRoute, ResourceRoute, SystemRoute
from .normalize import normalize_path_middleware
from .resource import AbstractResource, DynamicResource, PlainResource, PrefixResource, Resource

__all__ = [
    "AbstractResource",
    "AbstractRoute",
    "AbstractRouteDef",
    "DynamicResource",
    "PlainResource",
    "PrefixResource",
    "Resource",
    "ResourceRoute",
    "ResourcesView",
    "RouteDef",
    "RouteTableDef",
    "RoutesView",
    "SystemRoute",
    "UrlDispatcher",
    "UrlMappingMatchInfo",
    "View",
    "delete",
    "get",
    "head",
    "normalize_path_middleware",
    "options",
    "patch",
    "post",
    "put",
    "route",
    "view",
]
