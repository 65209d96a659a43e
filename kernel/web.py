"""The server side, assembled: the kernel's names and those of installed plugins, each imported when first touched."""

# ruff: noqa: PLC0414  # `X as X` tells type checkers that a name is meant for others
from __future__ import annotations

from typing import TYPE_CHECKING

from .facade import make_dir, make_getattr

if TYPE_CHECKING:
    from corelet_routing import AbstractResource as AbstractResource
    from corelet_routing import AbstractRoute as AbstractRoute
    from corelet_routing import AbstractRouteDef as AbstractRouteDef
    from corelet_routing import DynamicResource as DynamicResource
    from corelet_routing import PlainResource as PlainResource
    from corelet_routing import PrefixResource as PrefixResource
    from corelet_routing import Resource as Resource
    from corelet_routing import ResourceRoute as ResourceRoute
    from corelet_routing import ResourcesView as ResourcesView
    from corelet_routing import RouteDef as RouteDef
    from corelet_routing import RoutesView as RoutesView
    from corelet_routing import RouteTableDef as RouteTableDef
    from corelet_routing import SystemRoute as SystemRoute
    from corelet_routing import UrlDispatcher as UrlDispatcher
    from corelet_routing import UrlMappingMatchInfo as UrlMappingMatchInfo
    from corelet_routing import View as View
    from corelet_routing import delete as delete
    from corelet_routing import get as get
    from corelet_routing import head as head
    from corelet_routing import normalize_path_middleware as normalize_path_middleware
    from corelet_routing import options as options
    from corelet_routing import patch as patch
    from corelet_routing import post as post
    from corelet_routing import put as put
    from corelet_routing import route as route
    from corelet_routing import view as view
    from corelet_subapps import MatchedSubAppResource as MatchedSubAppResource
    from corelet_subapps import PrefixedSubAppResource as PrefixedSubAppResource
    from corelet_websocket import WebSocketReady as WebSocketReady
    from corelet_websocket import WebSocketResponse as WebSocketResponse
    from corelet_websocket import WSMsgType as WSMsgType

    from .abc import Handler as Handler
    from .abc import Middleware as Middleware
    from .access_logger import AccessLogger as AccessLogger
    from .app import Application as Application
    from .app import CleanupError as CleanupError
    from .app import middleware as middleware
    from .errors import PayloadAccessError as PayloadAccessError
    from .errors import RequestPayloadError as RequestPayloadError
    from .exceptions import HTTPAccepted as HTTPAccepted
    from .exceptions import HTTPBadGateway as HTTPBadGateway
    from .exceptions import HTTPBadRequest as HTTPBadRequest
    from .exceptions import HTTPClientError as HTTPClientError
    from .exceptions import HTTPConflict as HTTPConflict
    from .exceptions import HTTPCreated as HTTPCreated
    from .exceptions import HTTPError as HTTPError
    from .exceptions import HTTPException as HTTPException
    from .exceptions import HTTPExpectationFailed as HTTPExpectationFailed
    from .exceptions import HTTPFailedDependency as HTTPFailedDependency
    from .exceptions import HTTPForbidden as HTTPForbidden
    from .exceptions import HTTPFound as HTTPFound
    from .exceptions import HTTPGatewayTimeout as HTTPGatewayTimeout
    from .exceptions import HTTPGone as HTTPGone
    from .exceptions import HTTPInsufficientStorage as HTTPInsufficientStorage
    from .exceptions import HTTPInternalServerError as HTTPInternalServerError
    from .exceptions import HTTPLengthRequired as HTTPLengthRequired
    from .exceptions import HTTPMethodNotAllowed as HTTPMethodNotAllowed
    from .exceptions import HTTPMisdirectedRequest as HTTPMisdirectedRequest
    from .exceptions import HTTPMove as HTTPMove
    from .exceptions import HTTPMovedPermanently as HTTPMovedPermanently
    from .exceptions import HTTPMultipleChoices as HTTPMultipleChoices
    from .exceptions import HTTPNetworkAuthenticationRequired as HTTPNetworkAuthenticationRequired
    from .exceptions import HTTPNoContent as HTTPNoContent
    from .exceptions import HTTPNonAuthoritativeInformation as HTTPNonAuthoritativeInformation
    from .exceptions import HTTPNotAcceptable as HTTPNotAcceptable
    from .exceptions import HTTPNotExtended as HTTPNotExtended
    from .exceptions import HTTPNotFound as HTTPNotFound
    from .exceptions import HTTPNotImplemented as HTTPNotImplemented
    from .exceptions import HTTPNotModified as HTTPNotModified
    from .exceptions import HTTPOk as HTTPOk
    from .exceptions import HTTPPartialContent as HTTPPartialContent
    from .exceptions import HTTPPaymentRequired as HTTPPaymentRequired
    from .exceptions import HTTPPermanentRedirect as HTTPPermanentRedirect
    from .exceptions import HTTPPreconditionFailed as HTTPPreconditionFailed
    from .exceptions import HTTPPreconditionRequired as HTTPPreconditionRequired
    from .exceptions import HTTPProxyAuthenticationRequired as HTTPProxyAuthenticationRequired
    from .exceptions import HTTPRedirection as HTTPRedirection
    from .exceptions import HTTPRequestEntityTooLarge as HTTPRequestEntityTooLarge
    from .exceptions import HTTPRequestHeaderFieldsTooLarge as HTTPRequestHeaderFieldsTooLarge
    from .exceptions import HTTPRequestRangeNotSatisfiable as HTTPRequestRangeNotSatisfiable
    from .exceptions import HTTPRequestTimeout as HTTPRequestTimeout
    from .exceptions import HTTPRequestURITooLong as HTTPRequestURITooLong
    from .exceptions import HTTPResetContent as HTTPResetContent
    from .exceptions import HTTPSeeOther as HTTPSeeOther
    from .exceptions import HTTPServerError as HTTPServerError
    from .exceptions import HTTPServiceUnavailable as HTTPServiceUnavailable
    from .exceptions import HTTPSuccessful as HTTPSuccessful
    from .exceptions import HTTPTemporaryRedirect as HTTPTemporaryRedirect
    from .exceptions import HTTPTooManyRequests as HTTPTooManyRequests
    from .exceptions import HTTPUnauthorized as HTTPUnauthorized
    from .exceptions import HTTPUnavailableForLegalReasons as HTTPUnavailableForLegalReasons
    from .exceptions import HTTPUnprocessableEntity as HTTPUnprocessableEntity
    from .exceptions import HTTPUnsupportedMediaType as HTTPUnsupportedMediaType
    from .exceptions import HTTPUpgradeRequired as HTTPUpgradeRequired
    from .exceptions import HTTPUseProxy as HTTPUseProxy
    from .exceptions import HTTPVariantAlsoNegotiates as HTTPVariantAlsoNegotiates
    from .exceptions import HTTPVersionNotSupported as HTTPVersionNotSupported
    from .keys import AppKey as AppKey
    from .keys import NotAppKeyWarning as NotAppKeyWarning
    from .keys import RequestKey as RequestKey
    from .keys import ResponseKey as ResponseKey
    from .request import BaseRequest as BaseRequest
    from .request import Request as Request
    from .response import ContentCoding as ContentCoding
    from .response import Response as Response
    from .response import StreamResponse as StreamResponse
    from .response import json_bytes_response as json_bytes_response
    from .response import json_response as json_response
    from .runner import AppRunner as AppRunner
    from .runner import BaseRunner as BaseRunner
    from .runner import BaseSite as BaseSite
    from .runner import GracefulExit as GracefulExit
    from .runner import NamedPipeSite as NamedPipeSite
    from .runner import ServerRunner as ServerRunner
    from .runner import SockSite as SockSite
    from .runner import TCPSite as TCPSite
    from .runner import UnixSite as UnixSite
    from .server import Server as Server
    from .serving import run_app as run_app
else:
    __getattr__ = make_getattr("web", globals())
    __dir__ = make_dir("web")
