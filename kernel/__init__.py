"""corelet: a microkernel HTTP framework for asyncio.

``from corelet import web`` is the server side; this module has the client side and what both need. Names are imported
when first touched, from the kernel or from the plugin that is installed for them.
"""

# `X as X` tells type checkers that a name is meant for others
from __future__ import annotations

from typing import TYPE_CHECKING

from .facade import make_dir, make_getattr

if TYPE_CHECKING:
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
    from .errors import CoreletError as CoreletError
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
    from .streams import EofStream as EofStream
    from .streams import FlowControlDataQueue as FlowControlDataQueue
    from .streams import StreamReader as StreamReader
    from .version import HOOK_API as HOOK_API

    __version__: str
else:
    __getattr__ = make_getattr("", globals())
    __dir__ = make_dir("")
