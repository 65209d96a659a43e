"""Which corelet this is, for people and for plugins."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    #: The version of the installed distribution ``corelet``.
    __version__: str

#: Raised by one when a hook, or an argument of a hook, is added. A plugin may say which it needs at least.
HOOK_API: Final = 1


@functools.cache
def kernel_version() -> str:
    """Read the version from the metadata of the installed distribution ``corelet``; its pyproject is the source."""
    import importlib_metadata

    return importlib_metadata.version("corelet")


def __getattr__(name: str) -> str:
    if name == "__version__":
        return kernel_version()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
