"""corelet: a microkernel HTTP framework for asyncio.

``from corelet import web`` is the server side; this module has the client side and what both need. Names are imported
when first touched, from the kernel or from the plugin that is installed for them.
"""

# `X as X` tells type checkers that a name is meant for others
from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from .facade import make_dir, make_getattr
from .names import PLUGIN_OF

if TYPE_CHECKING:
    from corelet_client import AddrInfoType as AddrInfoType
    from corelet_client import AsyncResolver as AsyncResolver
    from corelet_client import BaseConnector as BaseConnector
    from corelet_client import BasicAuth as BasicAuth
    from corelet_client import ClientConnectionError as ClientConnectionError
    from corelet_client import ClientConnectionResetError as ClientConnectionResetError
    from corelet_client import ClientConnectorCertificateError as ClientConnectorCertificateError
    from corelet_client import ClientConnectorDNSError as ClientConnectorDNSError
    from corelet_client import ClientConnectorError as ClientConnectorError
    from corelet_client import ClientConnectorSSLError as ClientConnectorSSLError
    from corelet_client import ClientError as ClientError
    from corelet_client import ClientHandlerType as ClientHandlerType
    from corelet_client import ClientHttpProxyError as ClientHttpProxyError
    from corelet_client import ClientMiddlewareType as ClientMiddlewareType
    from corelet_client import ClientOSError as ClientOSError
    from corelet_client import ClientPayloadError as ClientPayloadError
    from corelet_client import ClientProxyConnectionError as ClientProxyConnectionError
    from corelet_client import ClientRequest as ClientRequest
    from corelet_client import ClientResponse as ClientResponse
    from corelet_client import ClientResponseError as ClientResponseError
    from corelet_client import ClientSession as ClientSession
    from corelet_client import ClientSSLError as ClientSSLError
    from corelet_client import ClientTimeout as ClientTimeout
    from corelet_client import ConnectionTimeoutError as ConnectionTimeoutError
    from corelet_client import ContentTypeError as ContentTypeError
    from corelet_client import CookieJar as CookieJar
    from corelet_client import DefaultResolver as DefaultResolver
    from corelet_client import DigestAuthMiddleware as DigestAuthMiddleware
    from corelet_client import DummyCookieJar as DummyCookieJar
    from corelet_client import Fingerprint as Fingerprint
    from corelet_client import InvalidURL as InvalidURL
    from corelet_client import InvalidUrlClientError as InvalidUrlClientError
    from corelet_client import InvalidUrlRedirectClientError as InvalidUrlRedirectClientError
    from corelet_client import NamedPipeConnector as NamedPipeConnector
    from corelet_client import NonHttpUrlClientError as NonHttpUrlClientError
    from corelet_client import NonHttpUrlRedirectClientError as NonHttpUrlRedirectClientError
    from corelet_client import RedirectClientError as RedirectClientError
    from corelet_client import RequestInfo as RequestInfo
    from corelet_client import ServerConnectionError as ServerConnectionError
    from corelet_client import ServerDisconnectedError as ServerDisconnectedError
    from corelet_client import ServerFingerprintMismatch as ServerFingerprintMismatch
    from corelet_client import ServerTimeoutError as ServerTimeoutError
    from corelet_client import SocketFactoryType as SocketFactoryType
    from corelet_client import SocketTimeoutError as SocketTimeoutError
    from corelet_client import TCPConnector as TCPConnector
    from corelet_client import ThreadedResolver as ThreadedResolver
    from corelet_client import TooManyRedirects as TooManyRedirects
    from corelet_client import TraceConfig as TraceConfig
    from corelet_client import TraceConnectionCreateEndParams as TraceConnectionCreateEndParams
    from corelet_client import TraceConnectionCreateStartParams as TraceConnectionCreateStartParams
    from corelet_client import TraceConnectionQueuedEndParams as TraceConnectionQueuedEndParams
    from corelet_client import TraceConnectionQueuedStartParams as TraceConnectionQueuedStartParams
    from corelet_client import TraceConnectionReuseconnParams as TraceConnectionReuseconnParams
    from corelet_client import TraceDnsCacheHitParams as TraceDnsCacheHitParams
    from corelet_client import TraceDnsCacheMissParams as TraceDnsCacheMissParams
    from corelet_client import TraceDnsResolveHostEndParams as TraceDnsResolveHostEndParams
    from corelet_client import TraceDnsResolveHostStartParams as TraceDnsResolveHostStartParams
    from corelet_client import TraceRequestChunkSentParams as TraceRequestChunkSentParams
    from corelet_client import TraceRequestEndParams as TraceRequestEndParams
    from corelet_client import TraceRequestExceptionParams as TraceRequestExceptionParams
    from corelet_client import TraceRequestHeadersSentParams as TraceRequestHeadersSentParams
    from corelet_client import TraceRequestRedirectParams as TraceRequestRedirectParams
    from corelet_client import TraceRequestStartParams as TraceRequestStartParams
    from corelet_client import TraceResponseChunkReceivedParams as TraceResponseChunkReceivedParams
    from corelet_client import UnixClientConnectorError as UnixClientConnectorError
    from corelet_client import UnixConnector as UnixConnector
    from corelet_client import UploadAbortedError as UploadAbortedError
    from corelet_client import UploadTracker as UploadTracker
    from corelet_client import WSServerHandshakeError as WSServerHandshakeError
    from corelet_client import encode_basic_auth as encode_basic_auth
    from corelet_client import request as request  # type: ignore[no-redef]  # there is a module of this name
    from corelet_compression import set_zlib_backend as set_zlib_backend
    from corelet_multipart import BadContentDispositionHeader as BadContentDispositionHeader
    from corelet_multipart import BadContentDispositionParam as BadContentDispositionParam
    from corelet_multipart import BodyPartReader as BodyPartReader
    from corelet_multipart import FormData as FormData
    from corelet_multipart import MultipartReader as MultipartReader
    from corelet_multipart import MultipartWriter as MultipartWriter
    from corelet_multipart import content_disposition_filename as content_disposition_filename
    from corelet_multipart import parse_content_disposition as parse_content_disposition
    from corelet_websocket import ClientWebSocketResponse as ClientWebSocketResponse
    from corelet_websocket import ClientWSTimeout as ClientWSTimeout
    from corelet_websocket import PermessageDeflate as PermessageDeflate
    from corelet_websocket import WebSocketClientHandshake as WebSocketClientHandshake
    from corelet_websocket import WebSocketError as WebSocketError
    from corelet_websocket import WebSocketExtension as WebSocketExtension
    from corelet_websocket import WebSocketExtensionFactory as WebSocketExtensionFactory
    from corelet_websocket import WebSocketExtensionRegistry as WebSocketExtensionRegistry
    from corelet_websocket import WebSocketHandshakeError as WebSocketHandshakeError
    from corelet_websocket import WSCloseCode as WSCloseCode
    from corelet_websocket import WSMessage as WSMessage
    from corelet_websocket import WSMessageTypeError as WSMessageTypeError
    from corelet_websocket import WSMsgType as WSMsgType
    from corelet_websocket import open_client_websocket as open_client_websocket

    from . import abc as abc
    from . import hdrs as hdrs
    from . import test_utils as test_utils
    from . import web as web
    from .access_logger import AccessLogger as AccessLogger
    from .deprecated import CoreletDeprecationWarning as CoreletDeprecationWarning
    from .deprecated import CoreletRemovedIn2Warning as CoreletRemovedIn2Warning
    from .errors import ContentDecodingError as ContentDecodingError
    from .errors import CoreletError as CoreletError
    from .errors import DecodedSizeError as DecodedSizeError
    from .errors import LocalProtocolError as LocalProtocolError
    from .errors import MissingPluginError as MissingPluginError
    from .errors import PluginConflictError as PluginConflictError
    from .errors import PluginLoadError as PluginLoadError
    from .errors import ProtocolError as ProtocolError
    from .errors import RemoteProtocolError as RemoteProtocolError
    from .fields import ETag as ETag
    from .hdrs import HttpVersion as HttpVersion
    from .hdrs import HttpVersion10 as HttpVersion10
    from .hdrs import HttpVersion11 as HttpVersion11
    from .hookspecs import hookimpl as hookimpl
    from .hookspecs import hookspec as hookspec
    from .limits import Deadlines as Deadlines
    from .limits import Limits as Limits
    from .payload import PAYLOAD_REGISTRY as PAYLOAD_REGISTRY
    from .payload import AsyncIterablePayload as AsyncIterablePayload
    from .payload import BufferedReaderPayload as BufferedReaderPayload
    from .payload import BytesIOPayload as BytesIOPayload
    from .payload import BytesPayload as BytesPayload
    from .payload import IOBasePayload as IOBasePayload
    from .payload import JsonPayload as JsonPayload
    from .payload import Payload as Payload
    from .payload import StringIOPayload as StringIOPayload
    from .payload import StringPayload as StringPayload
    from .payload import TextIOPayload as TextIOPayload
    from .payload import get_payload as get_payload
    from .payload import payload_type as payload_type
    from .request import ChainMapProxy as ChainMapProxy
    from .streams import EMPTY_PAYLOAD as EMPTY_PAYLOAD
    from .streams import DataQueue as DataQueue
    from .streams import DecodedStreamReader as DecodedStreamReader
    from .streams import EofStream as EofStream
    from .streams import FlowControlDataQueue as FlowControlDataQueue
    from .streams import StreamReader as StreamReader
    from .version import HOOK_API as HOOK_API

    __version__: str
else:
    __getattr__ = make_getattr("", globals())
    __dir__ = make_dir("")


class _Package(ModuleType):
    """A package whose names win over its modules: ``corelet.request`` is the client's function, whoever imports it."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in PLUGIN_OF and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
