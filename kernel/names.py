"""Every public name: the kernel's with its module, and first-party plugins' with their plugin; nothing is imported."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

#: The environment variable that keeps plugins out: names of entry points or distributions, with commas between.
BLOCK_VARIABLE: Final = "CORELET_BLOCK"

#: A module's own name stands for the module.
_KERNEL: Final = {
    "": {
        "abc": "abc",
        "access_logger": "AccessLogger",
        "deprecated": "CoreletDeprecationWarning CoreletRemovedIn2Warning",
        "errors": """
            ContentDecodingError CoreletError DecodedSizeError LocalProtocolError MissingPluginError
            PluginConflictError PluginLoadError ProtocolError RemoteProtocolError
        """,
        "hdrs": "HttpVersion HttpVersion10 HttpVersion11 hdrs",
        "hookspecs": "hookimpl hookspec",
        "limits": "Deadlines Limits",
        "payload": """
            AsyncIterablePayload BufferedReaderPayload BytesIOPayload BytesPayload IOBasePayload JsonPayload Payload
            PAYLOAD_REGISTRY StringIOPayload StringPayload TextIOPayload get_payload payload_type
        """,
        "fields": "ETag",
        "request": "ChainMapProxy",
        "streams": "DataQueue DecodedStreamReader EMPTY_PAYLOAD EofStream FlowControlDataQueue StreamReader",
        "test_utils": "test_utils",
        "version": "HOOK_API __version__",
        "web": "web",
    },
    "web": {
        "access_logger": "AccessLogger JsonAccessLogger",
        "app": "Application CleanupError Handler Middleware middleware",
        "errors": "PayloadAccessError RequestPayloadError",
        "exceptions": """
            HTTPAccepted HTTPBadGateway HTTPBadRequest HTTPClientError HTTPConflict HTTPCreated HTTPError HTTPException
            HTTPExpectationFailed HTTPFailedDependency HTTPForbidden HTTPFound HTTPGatewayTimeout HTTPGone
            HTTPInsufficientStorage HTTPInternalServerError HTTPLengthRequired HTTPMethodNotAllowed
            HTTPMisdirectedRequest HTTPMove HTTPMovedPermanently HTTPMultipleChoices HTTPNetworkAuthenticationRequired
            HTTPNoContent HTTPNonAuthoritativeInformation HTTPNotAcceptable HTTPNotExtended HTTPNotFound
            HTTPNotImplemented HTTPNotModified HTTPOk HTTPPartialContent HTTPPaymentRequired HTTPPermanentRedirect
            HTTPPreconditionFailed HTTPPreconditionRequired HTTPProxyAuthenticationRequired HTTPRedirection
            HTTPRequestEntityTooLarge HTTPRequestHeaderFieldsTooLarge HTTPRequestRangeNotSatisfiable HTTPRequestTimeout
            HTTPRequestURITooLong HTTPResetContent HTTPSeeOther HTTPServerError HTTPServiceUnavailable HTTPSuccessful
            HTTPTemporaryRedirect HTTPTooManyRequests HTTPUnauthorized HTTPUnavailableForLegalReasons
            HTTPUnprocessableEntity HTTPUnsupportedMediaType HTTPUpgradeRequired HTTPUseProxy HTTPVariantAlsoNegotiates
            HTTPVersionNotSupported
        """,
        "keys": "AppKey NotAppKeyWarning RequestKey ResponseKey",
        "request": "BaseRequest Request",
        "response": "ContentCoding Response StreamResponse json_bytes_response json_response",
        "runner": """
            AppRunner BaseRunner BaseSite GracefulExit NamedPipeSite ServerRunner SockSite TCPSite UnixSite
        """,
        "server": "Server",
        "serving": "run_app",
    },
    "test_utils": {},
}

#: The first-party plugins' public names, as ``corelet.exports`` has them, and the kernel's ports that they fill.
_NAMES_OF: Final = {
    "routing": """
        web.AbstractResource web.AbstractRoute web.AbstractRouteDef web.DynamicResource web.PlainResource
        web.PrefixResource web.Resource web.ResourceRoute web.ResourcesView web.RouteDef web.RouteTableDef
        web.RoutesView web.SystemRoute web.UrlDispatcher web.UrlMappingMatchInfo web.View web.delete
        web.get web.head web.normalize_path_middleware web.options web.patch web.post web.put web.route web.view
        app.router app.add_routes
    """,
    "subapps": "web.MatchedSubAppResource web.PrefixedSubAppResource app.add_domain app.add_subapp",
    "static": "web.FileResponse web.StaticDef web.StaticResource web.static app.router.add_static",
    "websocket": """
        web.WSMsgType web.WebSocketReady web.WebSocketResponse
        ClientWSTimeout ClientWebSocketResponse PermessageDeflate WSCloseCode WSMessage WSMessageTypeError WSMsgType
        WebSocketClientHandshake WebSocketError WebSocketExtension WebSocketExtensionFactory WebSocketExtensionRegistry
        WebSocketHandshakeError open_client_websocket
    """,
    "multipart": """
        BadContentDispositionHeader BadContentDispositionParam BodyPartReader FormData MultipartReader MultipartWriter
        content_disposition_filename parse_content_disposition web.FileField web.MULTIPART_LIMITS web.MultipartLimits
        request.multipart() request.post()
    """,
    "compression": """
        web.compressed web.compression_middleware web.decompression_middleware web.uncompressed set_zlib_backend
        response.enable_compression()
    """,
    "sessions": """
        web.AbstractStorage web.EncryptedCookieStorage web.InMemoryStorage web.MemcachedStorage web.RedisStorage
        web.Session web.SessionConflictError web.SessionCookie web.SessionLostError web.SessionStorageError
        web.SessionTooLargeError web.SignedCookieStorage web.SimpleCookieStorage web.get_session
        web.new_session web.save_session web.session_middleware web.setup_sessions
    """,
    "client": """
        AddrInfoType AsyncResolver BaseConnector BasicAuth ClientConnectionError ClientConnectionResetError
        ClientConnectorCertificateError ClientConnectorDNSError ClientConnectorError ClientConnectorSSLError ClientError
        ClientHandlerType ClientHttpProxyError ClientMiddlewareType ClientOSError ClientPayloadError
        ClientProxyConnectionError ClientRequest ClientResponse ClientResponseError ClientSession ClientSSLError
        ClientTimeout ConnectionTimeoutError ContentTypeError CookieJar DefaultResolver DigestAuthMiddleware
        DummyCookieJar Fingerprint InvalidURL InvalidUrlClientError InvalidUrlRedirectClientError NamedPipeConnector
        NonHttpUrlClientError NonHttpUrlRedirectClientError RedirectClientError RequestInfo ServerConnectionError
        ServerDisconnectedError ServerFingerprintMismatch ServerTimeoutError SocketFactoryType SocketTimeoutError
        TCPConnector ThreadedResolver TooManyRedirects TraceConfig TraceConnectionCreateEndParams
        TraceConnectionCreateStartParams TraceConnectionQueuedEndParams TraceConnectionQueuedStartParams
        TraceConnectionReuseconnParams TraceDnsCacheHitParams TraceDnsCacheMissParams TraceDnsResolveHostEndParams
        TraceDnsResolveHostStartParams TraceRequestChunkSentParams TraceRequestEndParams TraceRequestExceptionParams
        TraceRequestHeadersSentParams TraceRequestRedirectParams TraceRequestStartParams
        TraceResponseChunkReceivedParams UnixClientConnectorError UnixConnector UploadAbortedError UploadTracker
        WSServerHandshakeError encode_basic_auth request
    """,
    "testing": """
        test_utils.AccessLoggerConformance test_utils.AioHTTPTestCase test_utils.BaseTestServer test_utils.Conformance
        test_utils.ConnectorConformance test_utils.ContentCodingConformance test_utils.CookieJarConformance
        test_utils.ErrorRendererConformance test_utils.FormReaderConformance test_utils.InstrumentConformance
        test_utils.MountConformance test_utils.PayloadConformance test_utils.ProtocolConformance
        test_utils.RawTestServer test_utils.ResolverConformance test_utils.RouterConformance
        test_utils.SessionStorageConformance test_utils.TestClient test_utils.TestServer test_utils.assert_exports
        test_utils.assert_hooks test_utils.get_port_socket test_utils.get_unused_port_socket test_utils.loop_context
        test_utils.make_mocked_coro test_utils.make_mocked_request test_utils.make_plugin_manager
        test_utils.setup_test_loop test_utils.teardown_test_loop test_utils.unittest_run_loop test_utils.unused_port
    """,
}

#: Where a name stands ("" is ``corelet`` itself, "web" is ``corelet.web``) -> name -> the kernel's module with it.
KERNEL_NAMES: Final[dict[str, dict[str, str]]] = {
    scope: {name: module for module, names in modules.items() for name in names.split()}
    for scope, modules in _KERNEL.items()
}

#: First-party public name or port -> the plugin it comes with: "web.RouteTableDef" -> "routing".
PLUGIN_OF: Final[dict[str, str]] = {name: plugin for plugin, names in _NAMES_OF.items() for name in names.split()}

#: Command that a first-party plugin adds to ``corelet`` -> the plugin.
PLUGIN_OF_COMMAND: Final = {"new-plugin": "testing"}


def find_kernel_module(name: str) -> str:
    """Find the kernel's module that has a public name, like ``web.Application``; "" where the kernel has none."""
    scope, _, plain = name.rpartition(".")
    return KERNEL_NAMES.get(scope, {}).get(plain, "")


def suggest(name: str, known: Iterable[str]) -> str:
    """Guess which known name was meant, as the end of a message: ``; did you mean app?``, or nothing."""
    from difflib import get_close_matches  # here, since only errors need it

    return "".join(f"; did you mean {near}?" for near in get_close_matches(name, known, n=1))


def show_name(name: str) -> str:
    """Write a public name as people do: ``corelet.ClientSession``, ``web.View``."""
    return name if "." in name else f"corelet.{name}"
