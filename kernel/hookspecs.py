"""Every hook of the kernel. A docstring here is that hook's page in the documentation.

Hooks assemble; they never serve. Plugins are asked while an application is put together and hand back parts;
no hook is called while a request is answered. Three kinds:

- historic: a plugin is asked once, when it is registered, however late that is;
- all: every plugin is asked, and every answer that is not None is taken;
- one: an exclusive role. Every plugin is asked, and two answers are a PluginConflictError that names both.

Hooks are plain functions. What must wait is handed back: an async callable, or an async context manager.
An implementation lists only the arguments that it wants. Plugins are asked in the order of their entry points'
names, or in the order in which they were given to the application; ``@hookimpl(tryfirst=True)`` and
``trylast=True`` move one to the front or to the back. A plugin that joins when the others are there is asked before.
An exception from an implementation goes to the caller, with a note that names hook, plugin and distribution.

Applications in applications have plugins of their own each. Every application on the way of a request has its part in
the answer: what its plugins wrap around routes and prepare responses by, inside of the parts of the application around
it, and an error renderer. The others are the served application's for all within: instruments, access logger, codings,
form readers and protocols; the plugins of a mounted application are not asked for them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, ParamSpec, TypeVar, overload

import pluggy

from .abc import AbstractAccessLogger, AbstractRouter, Handler, Instrument

#: The project's name for pluggy; what ``pluggy.HookimplMarker`` of a third party must be made with.
PROJECT_NAME: Final = "corelet"
#: The attribute of a hook's specification that says its role is exclusive.
EXCLUSIVE_MARK: Final = "corelet_exclusive"

P = ParamSpec("P")
R = TypeVar("R")

#: Mark a function as the implementation of the hook that it is named after.
hookimpl: Final = pluggy.HookimplMarker(PROJECT_NAME)

_mark_spec: Final = pluggy.HookspecMarker(PROJECT_NAME)


@overload
def hookspec(function: Callable[P, R]) -> Callable[P, R]: ...


@overload
def hookspec(
    function: None = None, *, exclusive: bool = False, historic: bool = False
) -> Callable[[Callable[P, R]], Callable[P, R]]: ...


def hookspec(
    function: Callable[P, R] | None = None, *, exclusive: bool = False, historic: bool = False
) -> Callable[P, R] | Callable[[Callable[P, R]], Callable[P, R]]:
    """Mark a function as a hook that plugins may implement; for plugins that are extensible themselves.

    Hand the module of such functions to ``manager.add_hookspecs`` in ``corelet_add_hookspecs``. Name a hook
    ``corelet_<plugin>_<noun>``.

    Args:
        function: the specification; its body is never run.
        exclusive: the hook is a role that one plugin fills; ask by ``manager.call_one``. False: ``manager.call_all``.
        historic: each plugin is asked when it is registered.
    """

    def mark(function: Callable[P, R]) -> Callable[P, R]:
        function.__dict__[EXCLUSIVE_MARK] = exclusive
        return _mark_spec(function, historic=historic)

    return mark if function is None else mark(function)


@hookspec(historic=True)
def corelet_add_hookspecs(manager: Any) -> None:
    """Add hooks of your own, which other plugins may implement.

    When: the plugin is registered, before any other hook of any plugin is looked at.

    Order: as all hooks.

    Args:
        manager: the PluginManager; call ``manager.add_hookspecs(module)``. ``manager.register(plugin)`` brings
            further plugins.

    Returns: None.

    Raises: any exception keeps the plugin out, with the exception as the reason.

    Since: hook API 1.
    """


@hookspec
def corelet_add_commands(commands: Any) -> None:
    """Add subcommands to the ``corelet`` command.

    When: the command starts, before its arguments are read.

    Order: as all hooks, but no wrappers; two commands with one name are an error that names who has it.

    Args:
        commands: the registry; call ``commands.add_parser(name, help=...)``, which takes what ``argparse`` takes for a
            subcommand, and ``set_defaults(run=function)`` on the ``ArgumentParser`` that it returns.
            ``function(arguments)`` returns the exit status, or None for 0.

    Returns: None.

    Raises: any exception is shown, and the command goes on without the plugin.

    Since: hook API 1.
    """


@hookspec
def corelet_configure(app: Any) -> None:
    """Prepare a new application: state under keys of your own, signals, middlewares.

    What changes an answer is switched on by a visible line in the application, not here.

    When: at the end of ``Application()``; the application is open for changes.

    Order: as all hooks.

    Args:
        app: the Application.

    Returns: None.

    Raises: any exception leaves ``Application()``.

    Since: hook API 1.
    """


@hookspec(exclusive=True)
def corelet_make_router(app: Any) -> AbstractRouter | None:
    """Make the router that finds the handler of a request.

    When: ``app.router`` is first touched; never for an application that was given a handler or a router.

    Order: one plugin answers.

    Args:
        app: the Application that the router is for.

    Returns: a new AbstractRouter, or None to leave the role to another plugin.

    Raises: PluginConflictError where two plugins answer; MissingPluginError from ``app.router`` where none does.

    Since: hook API 1.
    """


@hookspec(exclusive=True)
def corelet_mount(app: Any, where: str, subapp: Any) -> Any:
    """Mount an application inside another one.

    When: ``app.add_subapp(prefix, subapp)`` and ``app.add_domain(domain, subapp)``.

    Order: one plugin answers.

    Args:
        app: the outer Application.
        where: a path prefix, which starts with ``/``, or a domain, which does not.
        subapp: the inner Application.

    Returns: the mounted resource, which the caller gets; or None to leave the role to another plugin.

    Raises: PluginConflictError where two plugins answer; MissingPluginError from the caller where none does.

    Since: hook API 1.
    """


@hookspec
def corelet_register_codings(codings: Any) -> None:
    """Register content codings, for both directions of servers and clients.

    When: a coding is first needed: ``response.enable_compression()``, or a body with Content-Encoding.

    Order: as all hooks; a name is registered once.

    Args:
        codings: the registry; call ``codings.add(coding)`` with an ``abc.ContentCoding``.

    Returns: None.

    Raises: PluginConflictError where two plugins register one name.

    Since: hook API 1.
    """


@hookspec
def corelet_register_form_readers(readers: Any) -> None:
    """Register how ``request.post()`` reads a media type.

    When: ``request.post()`` first meets a media type that the kernel does not read.

    Order: as all hooks.

    Args:
        readers: the registry; call ``readers.add(media_type, reader)`` with an ``abc.FormReader``; ``multipart/*`` is
            for those media types that have no reader of their own.

    Returns: None.

    Raises: PluginConflictError where two plugins register one media type.

    Since: hook API 1.
    """


@hookspec
def corelet_register_protocols(protocols: Any, app: Any) -> None:
    """Register protocols that a peer may choose while TLS is set up, like HTTP/2.

    When: the application freezes.

    Order: as all hooks; protocols are offered in the order in which they were registered, before ``http/1.1``. Every
    site with TLS has its context offer them, in place of what the context offered.

    Args:
        protocols: the registry; call ``protocols.add(alpn_id, connection_factory)``. The factory is called with the
            Server for each peer that has chosen the protocol, and returns an ``abc.NegotiatedConnection``.
        app: the Application. What is registered for one that is mounted in another is not offered.

    Returns: None.

    Raises: PluginConflictError where two plugins register one ALPN id. An exception from a factory is logged, and ends
        that connection.

    Since: hook API 1.
    """


@hookspec
def corelet_wrap_handler(app: Any, route: Any) -> Callable[[Handler], Handler] | None:
    """Wrap the handler of a route, outside of the application's middlewares.

    When: the application freezes, once for each route, and once for the error route, which answers 404 and 405.
        The routes of an application mounted in this one are among them; its own plugins have been asked before.

    Order: as all hooks; the first answer is the outermost wrapper. Those of a mounted application are inside of the
        middlewares of the application around it.

    Args:
        app: the Application.
        route: the route, as ``AbstractMatchInfo.route`` gives it; None for the error route, and for the one handler
            of an application without a router.

    Returns: a function that takes a handler and returns a handler, both ``async (request) -> response``; None to
        leave the route as it is, at no cost for its requests.

    Raises: any exception stops the start.

    Since: hook API 1.
    """


@hookspec
def corelet_prepare_response(app: Any) -> Callable[[Any, Any], Awaitable[None]] | None:
    """Change or watch a response before its head is sent.

    When: the application freezes. What is returned is called for every response, streams and upgrades too; in a
        mounted application for those that it or one within answers.

    Order: as all hooks; answers are called in this order, before the application's ``on_response_prepare``, and
        those of an outer application before those of an inner one.

    Args:
        app: the Application.

    Returns: ``async (request, response) -> None``, or None.

    Raises: any exception stops the start. An exception from the returned function is the handler's error: 500.

    Since: hook API 1.
    """


@hookspec(exclusive=True)
def corelet_make_error_renderer(app: Any) -> Callable[[BaseException, Any], Any] | None:
    """Make what turns an error into a response: a handler's errors and the parser's alike.

    When: the application freezes.

    Order: one plugin answers; where none does the kernel renders small HTML, JSON or plain text. Of applications in
        each other the innermost one on the way of a request whose plugins have a renderer; the outermost one's
        renders what belongs to no request.

    Args:
        app: the Application.

    Returns: ``(error, request) -> Response``, with None for the request where the peer's bytes made none; or None.

    Raises: PluginConflictError where two plugins answer.

    Since: hook API 1.
    """


@hookspec(exclusive=True)
def corelet_make_access_logger(app: Any) -> AbstractAccessLogger | None:
    """Make what writes one line for each answer.

    When: the application freezes; not where ``access_log_class`` was given or the access log is off, and not for a
        mounted application.

    Order: one plugin answers; where none does the kernel's AccessLogger writes.

    Args:
        app: the Application.

    Returns: an AbstractAccessLogger, or None.

    Raises: PluginConflictError where two plugins answer.

    Since: hook API 1.
    """


@hookspec
def corelet_instrument(app: Any) -> Instrument | None:
    """Watch connections and requests: metrics, traces.

    When: the application freezes; not for a mounted application.

    Order: as all hooks; instruments are called in this order.

    Args:
        app: the Application.

    Returns: an Instrument, or None. Only the methods that it really overrides are called, so the others cost
        nothing. One that raises is logged and called no more.

    Raises: any exception stops the start.

    Since: hook API 1.
    """


@hookspec
def corelet_lifespan(app: Any) -> AbstractAsyncContextManager[Any] | None:
    """Open what lives as long as the application: a pool, a background task.

    When: the application starts; entered before ``on_startup``.

    Order: as all hooks; left in reverse at clean-up, also where a later start failed.

    Args:
        app: the Application.

    Returns: an async context manager, or None. ``@hookimpl`` may stand above ``@asynccontextmanager``.

    Raises: any exception stops the start, and what was entered is left.

    Since: hook API 1.
    """


@hookspec
def corelet_report(app: Any) -> Iterable[str] | None:
    """Tell the operator what the plugin does here: its settings, its state.

    When: ``corelet plugins MODULE:APP``, and an error page of an application in debug mode.

    Order: as all hooks, but no wrappers.

    Args:
        app: the Application.

    Returns: lines of text, without secrets; or None.

    Raises: any exception is shown in place of the lines.

    Since: hook API 1.
    """
