"""Serve in a process of its own, and start it anew whenever a Python file changes; for development."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from .errors import CoreletError

#: Seconds that a process gets to stop gracefully before it is killed.
STOP_SECONDS: Final = 5


class MissingExtraError(CoreletError, ImportError):
    """Report an option whose optional dependency is not installed; the message says what to type."""


def run_reloading(
    serve: Callable[..., Any],
    arguments: tuple[Any, ...],
    folders: Iterable[str],
    show: Callable[[str], None],
) -> None:
    """Call a function in a new process, and anew after each change, until SIGINT or SIGTERM.

    The process is asked to stop by SIGINT. One that has ended by itself, as after a mistake in a file that it imports,
    is started again after the next change.

    Args:
        serve: a function that another process can import.
        arguments: what it is called with; they must be picklable.
        folders: where files are watched, with all folders below.
        show: gets a line for people after each change.

    Raises:
        MissingExtraError: watchfiles is not installed.
    """
    try:
        from watchfiles import PythonFilter, run_process
    except ImportError as error:
        raise MissingExtraError("--reload needs watchfiles: pip install 'corelet[reload]'") from error
    run_process(
        *folders,
        target=serve,
        args=arguments,
        target_type="function",
        callback=lambda changes: show(f"changed: {', '.join(sorted(path for _, path in changes))}"),
        watch_filter=PythonFilter(),
        sigint_timeout=STOP_SECONDS,
    )
