"""The client's errors, all below ClientError.

    ClientError
      ClientResponseError            an answer came, and is none that was wanted: status and headers
        ContentTypeError  TooManyRedirects  WSServerHandshakeError  ClientHttpProxyError
      ClientConnectionError          the connection failed
        ClientOSError                by an OSError
          ClientConnectorError       while it was opened: the host has no address, refuses, is no TLS peer
        ServerConnectionError        by the server: it hung up, was too slow, has another certificate
      ClientPayloadError             the body of an answer is malformed or was cut short
      InvalidURL  NonHttpUrlClientError  RedirectClientError
      UploadAbortedError             the body of a request could not be made

Each message names the URL or the host.
"""

from __future__ import annotations

import re
import ssl
from typing import TYPE_CHECKING, Any, Final

from yarl import URL

if TYPE_CHECKING:
    from multidict import MultiMapping

    from .connection_key import ConnectionKey
    from .request_info import RequestInfo
    from .response import ClientResponse


#: The name and password of a URL that can't be taken apart.
_USER: Final = re.compile(r"//[^/?#]*@")


class ClientError(Exception):
    """Any error of the client."""


class ClientResponseError(ClientError):
    """Report an answer that is not what was asked for.

    Args:
        request_info: the request as it was sent.
        history: the answers that redirected to this one.
        code: the status; another name for it, from aiohttp.
        status: the status of the answer; 0 where there was none.
        message: what was wrong, often the reason phrase.
        headers: of the answer.
    """

    def __init__(
        self,
        request_info: RequestInfo,
        history: tuple[ClientResponse, ...],
        *,
        code: int | None = None,
        status: int | None = None,
        message: str = "",
        headers: MultiMapping[str] | None = None,
    ) -> None:
        if code is not None and status is not None:
            raise ValueError("code and status are one thing: give status")
        self.request_info = request_info
        self.history = history
        self.status = status if status is not None else code or 0
        self.message = message
        self.headers = headers
        self.args = (request_info, history)

    @property
    def code(self) -> int:
        """The status."""
        return self.status

    def __str__(self) -> str:
        return f"{self.status}, message={self.message!r}, url={str(self.request_info.real_url)!r}"

    def __repr__(self) -> str:
        args = f"{self.request_info!r}, {self.history!r}"
        if self.status:
            args += f", status={self.status!r}"
        if self.message:
            args += f", message={self.message!r}"
        if self.headers is not None:
            args += f", headers={self.headers!r}"
        return f"{type(self).__name__}({args})"


class ContentTypeError(ClientResponseError):
    """The answer's media type is not the one that ``json()`` expects."""


class WSServerHandshakeError(ClientResponseError):
    """The server did not agree to a WebSocket."""


class ClientHttpProxyError(ClientResponseError):
    """A proxy refused to open a tunnel."""


class TooManyRedirects(ClientResponseError):  # noqa: N818  # the field's name for it
    """More redirects than ``max_redirects``."""


class ClientConnectionError(ClientError):
    """The connection failed."""


class ClientConnectionResetError(ClientConnectionError, ConnectionResetError):
    """The connection was closed while a request was sent."""


class ClientOSError(ClientConnectionError, OSError):
    """The connection failed by an OSError."""


class ClientConnectorError(ClientOSError):
    """No connection could be opened.

    Args:
        connection_key: where to.
        os_error: why not.
    """

    def __init__(self, connection_key: ConnectionKey, os_error: OSError) -> None:
        self._connection_key = connection_key
        self._os_error = os_error
        super().__init__(os_error.errno, os_error.strerror)
        self.args = (connection_key, os_error)

    @property
    def os_error(self) -> OSError:
        """Why no connection could be opened."""
        return self._os_error

    @property
    def host(self) -> str:
        """The host that was to be reached."""
        return self._connection_key.host

    @property
    def port(self) -> int | None:
        """The port that was to be reached."""
        return self._connection_key.port

    @property
    def ssl(self) -> Any:
        """How TLS was to be set up; True for the default."""
        return self._connection_key.ssl

    def __str__(self) -> str:
        reason = self.strerror or str(self._os_error)
        return f"Cannot connect to host {self.host}:{self.port} ssl:{self._describe_ssl()} [{reason}]"

    def _describe_ssl(self) -> str:
        return "default" if self.ssl is True else str(self.ssl)


class ClientConnectorDNSError(ClientConnectorError):
    """The host's address could not be found."""


class ClientProxyConnectionError(ClientConnectorError):
    """No connection to the proxy could be opened."""


class UnixClientConnectorError(ClientConnectorError):
    """No connection to a Unix socket could be opened.

    Args:
        path: the socket's path.
        connection_key: of the request.
        os_error: why not.
    """

    def __init__(self, path: str, connection_key: ConnectionKey, os_error: OSError) -> None:
        self._path = path
        super().__init__(connection_key, os_error)
        self.args = (path, connection_key, os_error)

    @property
    def path(self) -> str:
        """The socket's path."""
        return self._path

    def __str__(self) -> str:
        return f"Cannot connect to unix socket {self.path} [{self.strerror or self.os_error}]"


class ClientSSLError(ClientConnectorError):
    """TLS could not be set up."""


class ClientConnectorSSLError(ClientSSLError, ssl.SSLError):
    """TLS could not be set up: versions, ciphers, alerts."""


class ClientConnectorCertificateError(ClientSSLError, ssl.SSLCertVerificationError):
    """The server's certificate is not to be trusted.

    Args:
        connection_key: where to.
        certificate_error: what is wrong with it.
    """

    def __init__(self, connection_key: ConnectionKey, certificate_error: Exception) -> None:
        self._certificate_error = certificate_error
        super().__init__(connection_key, OSError(0, str(certificate_error)))
        self.args = (connection_key, certificate_error)

    @property
    def certificate_error(self) -> Exception:
        """What is wrong with the certificate."""
        return self._certificate_error

    def __str__(self) -> str:
        return (
            f"Cannot connect to host {self.host}:{self.port} ssl:{self._describe_ssl()} "
            f"[{type(self._certificate_error).__name__}: {self._certificate_error}]"
        )


class ServerConnectionError(ClientConnectionError):
    """The server ended the connection, or was not who it should be."""


class ServerDisconnectedError(ServerConnectionError):
    """The server closed the connection before its answer was complete.

    Args:
        message: what happened, and where.
    """

    def __init__(self, message: str | None = None) -> None:
        self.message = "Server disconnected" if message is None else message
        super().__init__(self.message)


class ServerFingerprintMismatch(ServerConnectionError):  # noqa: N818  # the field's name for it
    """The server's certificate is not the expected one.

    Args:
        expected: the digest that was given.
        got: the digest of the certificate.
        host: of the server.
        port: of the server.
    """

    def __init__(self, expected: bytes, got: bytes, host: str, port: int) -> None:
        self.expected = expected
        self.got = got
        self.host = host
        self.port = port
        super().__init__(expected, got, host, port)

    def __str__(self) -> str:
        return (
            f"the certificate of {self.host}:{self.port} has the fingerprint {self.got.hex()}, "
            f"expected {self.expected.hex()}"
        )


class ServerTimeoutError(ServerConnectionError, TimeoutError):
    """A wait took longer than its part of ClientTimeout; the message names it and the URL."""


class ConnectionTimeoutError(ServerTimeoutError):
    """No connection within ``ClientTimeout.connect`` or ``sock_connect``."""


class SocketTimeoutError(ServerTimeoutError):
    """The server sent nothing for longer than ``ClientTimeout.sock_read``."""


class ClientPayloadError(ClientError):
    """The body of an answer is malformed or was cut short."""


class UploadAbortedError(ClientError):
    """The body of a request could not be made: its source failed; the cause is the source's error."""


class InvalidURL(ClientError, ValueError):  # noqa: N818  # the field's name for it
    """A URL that can't be requested.

    Args:
        url: as it was given.
        description: what is wrong with it.
    """

    def __init__(self, url: str | URL, description: str | None = None) -> None:
        self._url = url
        self._description = description
        super().__init__(*((url,) if description is None else (url, description)))

    @property
    def url(self) -> str | URL:
        """The URL as it was given."""
        return self._url

    @property
    def description(self) -> str | None:
        """What is wrong with it."""
        return self._description

    def __str__(self) -> str:
        shown = show_url(self._url)
        return shown if self._description is None else f"{shown} - {self._description}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"


def show_url(url: str | URL) -> str:
    """Show a URL, which may be none, without name and password."""
    try:
        text = str(url)
    except ValueError:  # one made with encoded=True is read only when it is needed
        assert isinstance(url, URL)
        text = f"{url.scheme}://{url.raw_authority}{url.raw_path_qs}"
    return _USER.sub("//", text, count=1)


class InvalidUrlClientError(InvalidURL):
    """A URL that can't be requested, as it was given."""


class RedirectClientError(ClientError):
    """An answer redirects to where no request can be sent."""


class NonHttpUrlClientError(ClientError):
    """A URL of a scheme that the connector does not know."""


class InvalidUrlRedirectClientError(InvalidUrlClientError, RedirectClientError):
    """An answer redirects to a URL that can't be requested."""


class NonHttpUrlRedirectClientError(NonHttpUrlClientError, RedirectClientError):
    """An answer redirects to a URL of another scheme than http and https."""
