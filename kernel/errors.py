"""Errors of the kernel: a missing or broken plugin, and HTTP/1.1 broken by us or by the peer."""

from __future__ import annotations

import os

from .names import BLOCK_VARIABLE, PLUGIN_OF, PLUGIN_OF_COMMAND, show_name


class CoreletError(Exception):
    """Any error that is corelet's own."""


class MissingPluginError(CoreletError, ImportError):
    """Report a name or a capability that belongs to a plugin which is not installed, or is blocked.

    An ImportError: ``from corelet.web import X`` shows its message, where an AttributeError's would be lost.
    """


class PluginLoadError(CoreletError):
    """Report plugins that could not be loaded: each with its distribution and the reason, and the way out."""


class PluginConflictError(CoreletError):
    """Report two plugins that claim one exclusive role, or one public name; it names both, and the way out."""


class ListenError(CoreletError, OSError):
    """Report an address that can't be listened on; ``errno`` says why, and the message names the address."""


class ProtocolError(CoreletError):
    """HTTP/1.1 was broken, by us (local) or by the peer (remote)."""


class LocalProtocolError(ProtocolError, ValueError):
    """Report a message that we were asked to send and that would break HTTP/1.1."""


class RemoteProtocolError(ProtocolError):
    """Report bytes from the peer that break HTTP/1.1.

    Args:
        message: what was wrong, the value and the limit or the expectation.
        status_hint: the status to answer before the connection is closed; 400 by default.
    """

    status_hint = 400

    def __init__(self, message: str, status_hint: int | None = None) -> None:
        super().__init__(message)
        if status_hint is not None:
            self.status_hint = status_hint


class TargetTooLong(RemoteProtocolError):  # noqa: N818  # the field's words for it
    """The request line is over ``Limits.max_line_bytes``. Source: RFC 9110 section 15.5.15."""

    status_hint = 414


class HeadTooLarge(RemoteProtocolError):  # noqa: N818  # likewise
    """A field, their number or the whole head is over its limit. Source: RFC 6585 section 5."""

    status_hint = 431


class RequestPayloadError(CoreletError):
    """The body of a request is malformed, was cut short or came too slowly."""


class ContentDecodingError(CoreletError):
    """Content can't be decoded by its Content-Encoding: it is damaged, cut short, or something else."""


class DecodedSizeError(ContentDecodingError):
    """Content is, once decoded, larger than it may be.

    Attributes:
        size: bytes decoded when it was given up.
        limit: bytes that it may have.
    """

    def __init__(self, message: str, size: int, limit: int) -> None:
        super().__init__(message)
        self.size = size
        self.limit = limit


class PayloadAccessError(CoreletError):
    """The body of a request was touched where its handler gave it away."""


def missing_plugin(name: str) -> MissingPluginError:
    """Make the error for a name or a port that no installed plugin fills; the caller raises it.

    Args:
        name: a key of :data:`~corelet.names.PLUGIN_OF`, like ``web.View``, ``app.router`` or ``request.multipart()``.

    Returns:
        An error that says what to type: "app.router comes with a routing plugin: pip install corelet-routing"; or that
        the plugin is blocked.

    Raises:
        KeyError: no first-party plugin has the name; a bug in the caller.
    """
    return _describe_missing(show_name(name), PLUGIN_OF[name])


def missing_command(command: str) -> MissingPluginError:
    """Make the error for a command of no installed plugin, a key of :data:`~corelet.names.PLUGIN_OF_COMMAND`."""
    return _describe_missing(f"corelet {command}", PLUGIN_OF_COMMAND[command])


def _describe_missing(shown: str, plugin: str) -> MissingPluginError:
    what = f"{shown} comes with a {plugin} plugin"
    for word in os.environ.get(BLOCK_VARIABLE, "").split(","):
        if word.strip().lower().replace("_", "-") in (plugin, f"corelet-{plugin}"):
            return MissingPluginError(f"{what}, which is blocked: {BLOCK_VARIABLE}={word.strip()}")
    return MissingPluginError(f"{what}: pip install corelet-{plugin}")
