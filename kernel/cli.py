"""The ``corelet`` command: serve an application, show its routes, show what is installed, and what plugins add."""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from .access_logger import DEFAULT_FORMAT, AccessLogger
from .app_loader import AppLoadError, load_app, load_app_now
from .errors import CoreletError, ListenError, MissingPluginError, PluginConflictError, PluginLoadError, missing_command
from .limits import SHUTDOWN_SECONDS
from .names import PLUGIN_OF_COMMAND
from .plugins import survey
from .reloader import MissingExtraError, run_reloading
from .runner import DEFAULT_PORT, DEFAULT_TLS_PORT
from .serving import access_logger, run_app, show_access_log
from .version import HOOK_API, kernel_version

if TYPE_CHECKING:
    import asyncio
    import socket
    import ssl

    from .app import Application
    from .plugin_record import PluginRecord
    from .plugins import PluginManager

#: What a subcommand runs: takes the parsed arguments, returns the exit status; None for 0.
Command = Callable[[argparse.Namespace], int | None]

#: Columns that help takes, whatever the terminal: the documentation shows the same.
HELP_COLUMNS: Final = 100
#: Seconds that answers in progress get to end before a reload.
_RELOAD_SHUTDOWN_SECONDS: Final = 1.0
#: Whose the kernel's own commands are.
_OWN: Final = "corelet"
#: The exit status for what can't be done as it was asked; argparse's own.
_MISTAKE: Final = 2

_DESCRIPTION: Final = """\
Serve and inspect corelet applications.

  corelet run shop.main:app             serve the application `app` of the module shop.main
  corelet run shop.main:app --reload    the same, and start anew whenever a Python file changes
  corelet routes shop.main:app          which handler answers what
  corelet plugins                       what is installed, and what is wrong with it
"""
_RUN: Final = """\
Serve an application until SIGINT (Ctrl+C) or SIGTERM: answers in progress end first, and a second
signal doesn't wait for them.

MODULE:APP names the application, as in shop.main:app for the file shop/main.py below the current
folder. APP is an Application, a function without arguments that makes one, or a coroutine function
that does. uvloop is used where it is installed: pip install "corelet[speedups]".
"""
_ROUTES: Final = """\
Show the routes of an application in the order in which they are tried: method, path, name and
handler. The application is put together, and not started.
"""
_PLUGINS: Final = """\
Show every installed plugin: its distribution; whether it is ready, blocked by CORELET_BLOCK or
failed, and why; the hooks that it implements and the public names that it exports, of which --json
shows all. This never fails, whatever is wrong with a plugin.

With MODULE:APP, show the plugins that the application uses, and what each reports of itself.
"""


class UsageError(CoreletError):
    """Report arguments of the command line that can't be followed."""


#: Errors whose message is all that helps: they are shown without a traceback.
_FOR_PEOPLE: Final = (
    UsageError,
    AppLoadError,
    MissingExtraError,
    MissingPluginError,
    PluginConflictError,
    PluginLoadError,
)


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Lays out help pages: descriptions as they are written, and one width for terminals and documentation."""

    def __init__(self, prog: str, **arguments: Any) -> None:
        super().__init__(prog, **{**arguments, "width": HELP_COLUMNS, "max_help_position": 30})


class CommandRegistry:
    """The subcommands; what ``corelet_add_commands`` gets.

    Args:
        parser: of the whole command.
    """

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", prog="corelet")
        #: The parsers of all commands, by name.
        self.parsers: dict[str, argparse.ArgumentParser] = {}
        self._owners: dict[str, str] = {}
        self._unsigned: dict[str, argparse.ArgumentParser] = {}

    def add_parser(self, name: str, **arguments: Any) -> argparse.ArgumentParser:
        """Add a subcommand; its parser takes the arguments, and ``set_defaults(run=function)``.

        Args:
            name: what is typed after ``corelet``.
            **arguments: as ``argparse`` takes them: ``help``, ``description``, ``aliases``.

        Raises:
            PluginConflictError: somebody has added the name, or an alias.
        """
        for each in (name, *arguments.get("aliases", ())):
            if each in self._owners:
                owner = self._owners[each] or "the same plugin"
                raise PluginConflictError(f"there is a command {each!r} already: it comes with {owner}")
            self._owners[each] = ""
        arguments.setdefault("formatter_class", HelpFormatter)
        parser: argparse.ArgumentParser = self._subparsers.add_parser(name, **arguments)
        self.parsers[name] = self._unsigned[name] = parser
        return parser

    def sign(self, owner: str) -> None:
        """Say whose the commands are that were added since this was called before."""
        for name, parser in self._unsigned.items():
            parser.set_defaults(corelet_command=(name, owner))
        self._unsigned.clear()
        self._owners = {name: known or owner for name, known in self._owners.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the ``corelet`` command.

    Args:
        arguments: what was typed after ``corelet``; default the process's own.

    Returns:
        The exit status: 0, 1 for an address that can't be listened on, 2 for a mistake in what was asked.
    """
    parser, commands = make_parser()
    with contextlib.redirect_stdout(sys.stderr):  # what a plugin prints while it is imported is no part of an answer
        _add_plugin_commands(commands)
    typed = sys.argv[1:] if arguments is None else arguments
    if typed and typed[0] in PLUGIN_OF_COMMAND and typed[0] not in commands.parsers:
        _complain(str(missing_command(typed[0])))
        return _MISTAKE
    options = parser.parse_args(arguments)
    if not hasattr(options, "corelet_command"):
        parser.print_help()
        return 0
    return _tell_mistakes(_run_command, options)


def make_parser() -> tuple[argparse.ArgumentParser, CommandRegistry]:
    """Make the parser with the kernel's own commands, and the registry that takes more."""
    parser = argparse.ArgumentParser(prog="corelet", description=_DESCRIPTION, formatter_class=HelpFormatter)
    parser.add_argument("--version", action="version", version=f"corelet {kernel_version()} (hook API {HOOK_API})")
    commands = CommandRegistry(parser)
    _add_run(commands)
    _add_routes(commands)
    _add_plugins(commands)
    commands.sign(_OWN)
    return parser, commands


def _add_plugin_commands(commands: CommandRegistry) -> None:
    for record, outcome in survey().call_each("corelet_add_commands", commands=commands):
        commands.sign(str(record))
        if isinstance(outcome, BaseException):
            _complain(f"commands of plugin {record} are missing: {type(outcome).__name__}: {outcome}")


def _run_command(options: argparse.Namespace) -> int | None:
    name, owner = options.corelet_command
    run: Command | None = getattr(options, "run", None)
    if run is None:
        raise UsageError(f"command {name} of {owner} does nothing: its parser lacks set_defaults(run=function)")
    try:
        return run(options)
    except Exception as error:
        if owner != _OWN:
            error.add_note(f"in command {name} of {owner}")
        raise


def _tell_mistakes(command: Command, options: argparse.Namespace) -> int:
    try:
        return command(options) or 0
    except ListenError as error:
        _complain(f"{error.strerror}: choose another place by --host, --port or --unix")
        return 1
    except _FOR_PEOPLE as error:
        _complain(str(error))
        return _MISTAKE


def _complain(message: str) -> None:
    print(f"corelet: {message}", file=sys.stderr)  # noqa: T201 -- a command


# corelet run


def _add_run(commands: CommandRegistry) -> None:
    parser = commands.add_parser("run", help="serve an application", description=_RUN)
    parser.set_defaults(run=run)
    _add_app(parser)
    ports = f"TCP port, 0 for a free one; default {DEFAULT_PORT}, or {DEFAULT_TLS_PORT} with TLS"
    places = parser.add_argument_group("where it listens")
    places.add_argument("--host", help="name or address; default 127.0.0.1, 0.0.0.0 for every IPv4 address")
    places.add_argument("--port", type=_parse_port, help=ports)
    places.add_argument("--unix", metavar="PATH", help="Unix socket, in place of TCP unless --host or --port is given")
    places.add_argument(
        "--fd",
        metavar="NUMBER",
        type=_parse_descriptor,
        action="append",
        help="a bound socket that this process was given, as by systemd, in place of TCP likewise; may be repeated",
    )
    places.add_argument("--reuse-port", action="store_true", help="let several processes listen on the port")
    tls = parser.add_argument_group("TLS")
    tls.add_argument("--tls-cert", metavar="FILE", help="certificate chain, PEM; turns TLS on")
    tls.add_argument("--tls-key", metavar="FILE", help="its key, PEM; default: in the file of the certificate")
    reloading = parser.add_argument_group("development")
    reloading.add_argument(
        "--reload", action="store_true", help="start anew whenever a Python file changes; needs corelet[reload]"
    )
    reloading.add_argument(
        "--reload-dir",
        metavar="DIR",
        action="append",
        help="watch this folder; may be repeated; default the current one",
    )
    others = parser.add_argument_group("more")
    others.add_argument(
        "--loop", choices=("auto", "asyncio", "uvloop"), default="auto", help="default auto: uvloop if installed"
    )
    others.add_argument("--no-access-log", action="store_true", help="write no line for each answer")
    others.add_argument(
        "--access-log-format", metavar="FORMAT", type=_parse_format, default=DEFAULT_FORMAT, help="what its lines say"
    )
    others.add_argument(
        "--shutdown-timeout",
        metavar="SECONDS",
        type=_parse_seconds,
        help=f"for answers in progress; default {SHUTDOWN_SECONDS:g}, with --reload {_RELOAD_SHUTDOWN_SECONDS:g}",
    )


def run(options: argparse.Namespace) -> int:
    """Serve the application that the command line names, in this process or, for ``--reload``, in one after another."""
    if not options.reload:
        return serve(options)
    if options.fd is not None:
        raise UsageError("--fd can't be combined with --reload: a process that is started anew is given no socket")
    if options.shutdown_timeout is None:
        options.shutdown_timeout = _RELOAD_SHUTDOWN_SECONDS
    folders = options.reload_dir or [os.getcwd()]
    if missing := [folder for folder in folders if not os.path.isdir(folder)]:
        raise UsageError(f"--reload-dir: there is no folder {missing[0]}")
    run_reloading(serve_reloaded, (options,), folders, _complain)
    return 0


def serve_reloaded(options: argparse.Namespace) -> None:
    """Serve in a process that is started anew after each change."""
    with contextlib.suppress(KeyboardInterrupt):  # asked to stop before it served
        sys.exit(_tell_mistakes(serve, options))


def serve(options: argparse.Namespace) -> int:
    """Serve the application that the command line names until a signal comes."""
    make_loop = choose_loop(options.loop)
    context = make_tls_context(options.tls_cert, options.tls_key)
    app = load_app(options.app)
    sockets = [take_socket(number) for number in options.fd or ()]
    log = None if options.no_access_log else access_logger
    if log is not None:
        show_access_log(log)
    host = options.host
    if host is None and (options.port is not None or (options.unix is None and options.fd is None)):
        host = "127.0.0.1"
    run_app(
        app,
        host=host,
        port=options.port,
        path=options.unix,
        sock=None if options.fd is None else sockets,
        ssl_context=context,
        reuse_port=options.reuse_port,
        access_log=log,
        access_log_format=options.access_log_format,
        shutdown_timeout=SHUTDOWN_SECONDS if options.shutdown_timeout is None else options.shutdown_timeout,
        print=functools.partial(print, flush=True),
        loop=make_loop(),
    )
    return 0


def _parse_port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to 65535")
    return int(text)


def _parse_descriptor(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of a file descriptor")
    return int(text)


def _parse_seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not seconds >= 0:  # nor what is no number
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return seconds


def _parse_format(text: str) -> str:
    try:
        AccessLogger(access_logger, text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def choose_loop(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """Choose what makes the event loop: ``asyncio``, ``uvloop``, or ``auto`` for uvloop where it is installed."""
    if name != "asyncio":
        try:
            import uvloop
        except ImportError:
            if name == "uvloop":
                raise UsageError("--loop uvloop needs it: pip install 'corelet[speedups]'") from None
        else:
            return uvloop.new_event_loop
    from asyncio import new_event_loop

    return new_event_loop


def take_socket(number: int) -> socket.socket:
    """Take a socket that the process was started with.

    Args:
        number: its file descriptor. systemd gives the first one as 3. Source: sd_listen_fds(3).
    """
    import socket

    try:
        return socket.socket(fileno=number)
    except (OSError, OverflowError) as error:
        raise UsageError(f"--fd {number} is no socket that this process was given: {error}") from error


def make_tls_context(certificate: str | None, key: str | None) -> ssl.SSLContext | None:
    """Make a server's context of a certificate chain and its key, which may be in one file; None without a chain."""
    if certificate is None:
        if key is not None:
            raise UsageError("--tls-key is the key of a certificate: give it by --tls-cert")
        return None
    import ssl

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        for path in filter(None, (certificate, key)):
            with open(path, "rb"):  # load_cert_chain() doesn't say which file is missing
                pass
        context.load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        raise UsageError(f"--tls-cert {certificate} and its key {key or certificate} can't be used: {error}") from error
    except OSError as error:
        raise UsageError(f"can't read {error.filename}: {error.strerror}") from error
    return context


# corelet routes


def _add_routes(commands: CommandRegistry) -> None:
    parser = commands.add_parser("routes", help="show which handler answers what", description=_ROUTES)
    parser.set_defaults(run=show_routes)
    _add_app(parser)


def show_routes(options: argparse.Namespace) -> None:
    """Print a table of the routes."""
    app = _load_app_quietly(options.app)
    if app.handler is not None:
        _print([f"{_name_object(app.handler)} answers every request: the application has no router"])
        return
    rows = [describe_route(route) for route in app.router.routes()]
    _print(_align([("METHOD", "PATH", "NAME", "HANDLER"), *rows]))


def describe_route(route: Any) -> tuple[str, ...]:
    """Say what is known of a route; each router has its own kind, see ``abc.AbstractRouter.routes``."""
    facts = route.get_info() if hasattr(route, "get_info") else {}
    path = next((str(facts[key]) for key in ("path", "formatter", "prefix") if key in facts), repr(route))
    if facts.get("domain"):
        path = f"{facts['domain']}{path}"
    method, name = getattr(route, "method", None), getattr(route, "name", None)
    return method or "", path, name or "", _name_object(getattr(route, "handler", None))


def _name_object(thing: Any) -> str:
    if thing is None:
        return ""
    return f"{thing.__module__}.{thing.__qualname__}" if hasattr(thing, "__qualname__") else repr(thing)


# corelet plugins


def _add_plugins(commands: CommandRegistry) -> None:
    parser = commands.add_parser(
        "plugins", help="show what is installed, and what is wrong with it", description=_PLUGINS
    )
    parser.set_defaults(run=show_plugins)
    _add_app(parser, is_optional=True)
    parser.add_argument("--json", action="store_true", help="for programs: one JSON object")


def show_plugins(options: argparse.Namespace) -> None:
    """Print what is known of each plugin; of those that are installed where the application can't be made."""
    manager, app = survey(), None
    try:
        if options.app is not None:
            app = _load_app_quietly(options.app)
            manager = app.plugins
    finally:
        facts = _describe_plugins(manager, app)
        _print([json.dumps(facts, indent=2)] if options.json else _draw_plugins(facts["plugins"]))


def _describe_plugins(manager: PluginManager, app: Application | None) -> dict[str, Any]:
    reports = {} if app is None else dict(manager.report(app))
    plugins = [_describe_record(record, reports.get(record.name, [])) for record in manager.records]
    return {"corelet": kernel_version(), "hook_api": HOOK_API, "plugins": plugins}


def _describe_record(record: PluginRecord, report: Iterable[str]) -> dict[str, Any]:
    return {
        "name": record.name,
        "state": record.state.value,
        "distribution": record.distribution,
        "version": record.version,
        "reason": record.reason,
        "hooks": list(record.hooks),
        "exports": list(record.exports),
        "report": list(report),
    }


def _draw_plugins(plugins: Iterable[dict[str, Any]]) -> list[str]:
    rows = [("NAME", "STATE", "DISTRIBUTION")]
    for plugin in plugins:
        distribution = f"{plugin['distribution']} {plugin['version']}" if plugin["distribution"] else ""
        rows.append((plugin["name"], plugin["state"], distribution))
        lines = [("reason", line) for line in plugin["reason"].splitlines()]
        for key in ("hooks", "exports"):
            lines += [(key if number == 0 else "", line) for number, line in enumerate(_wrap_names(plugin[key]))]
        lines += [("report", line) for line in plugin["report"]]
        rows += [("", *line) for line in lines]
    return _align(rows) if len(rows) > 1 else ["no plugin is installed: pip install 'corelet[routing]' brings a router"]


def _wrap_names(names: Sequence[str]) -> list[str]:
    lines = textwrap.wrap(", ".join(names), 72)
    if len(lines) <= 3:
        return lines
    shown = "".join(lines[:2]).count(",")
    return [*lines[:2], f"and {len(names) - shown} more: --json shows all"]


# What they share


def _add_app(parser: argparse.ArgumentParser, *, is_optional: bool = False) -> None:
    parser.add_argument("app", metavar="MODULE:APP", nargs="?" if is_optional else None, help="the application")


def _load_app_quietly(place: str) -> Application:
    with contextlib.redirect_stdout(sys.stderr):  # what it prints meanwhile is no part of the answer
        return load_app_now(place)


def _align(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _print(lines: Iterable[str]) -> None:
    """Print an answer, or as much of it as its reader wants: ``corelet plugins | head``."""
    try:
        print(*lines, sep="\n", flush=True)  # noqa: T201 -- a command
    except BrokenPipeError:  # and again at the exit, unless there is another place for the rest
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
