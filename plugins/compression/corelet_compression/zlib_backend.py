"""The library behind gzip and deflate: isal or zlib-ng where installed, else Python's zlib."""

from __future__ import annotations

import importlib
import zlib
from typing import Any, Final, Protocol


class ZlibBackend(Protocol):
    """What a library must have: the part of Python's ``zlib`` that codings use."""

    @property
    def error(self) -> type[Exception]: ...

    def compressobj(self, level: int = -1, method: int = 8, wbits: int = 15) -> Any: ...

    def decompressobj(self, wbits: int = 15) -> Any: ...


#: Tried in this order. A JSON body of 21 KiB at the default level: isal 27 microseconds and 3,367 bytes,
#: zlib-ng 92 and 3,260, zlib 186 and 3,450.
_CANDIDATES: Final = ("isal.isal_zlib", "zlib_ng.zlib_ng")


def _find_backend() -> ZlibBackend:
    for name in _CANDIDATES:
        try:
            module: Any = importlib.import_module(name)
        except ModuleNotFoundError:
            continue
        backend: ZlibBackend = module
        return backend
    return zlib


class _Choice:
    """What is used from now on, by all applications and clients of the process."""

    backend: ZlibBackend | None = None


def set_zlib_backend(new_zlib_backend: ZlibBackend) -> None:
    """Choose the library behind gzip and deflate, for the whole process and all bodies begun later.

    Args:
        new_zlib_backend: a module with the interface of Python's ``zlib``, like ``isal.isal_zlib`` or
            ``zlib_ng.zlib_ng``. Without a call the first of these two and Python's own that is installed is taken.

    Raises:
        TypeError: the object has no ``compressobj``, ``decompressobj`` or ``error``.
    """
    missing = [name for name in ("compressobj", "decompressobj", "error") if not hasattr(new_zlib_backend, name)]
    if missing:
        raise TypeError(f"{new_zlib_backend!r} is no zlib: it has no {', '.join(missing)}")
    _Choice.backend = new_zlib_backend


def get_zlib_backend() -> ZlibBackend:
    """Get the library in use."""
    if _Choice.backend is None:
        _Choice.backend = _find_backend()
    return _Choice.backend


def scale_level(backend: ZlibBackend, level: int) -> int:
    """Translate a level of zlib, 0 to 9, to the backend's own scale: isal's ends at 3."""
    best: int = getattr(backend, "Z_BEST_COMPRESSION", zlib.Z_BEST_COMPRESSION)
    return level if best == zlib.Z_BEST_COMPRESSION else -(-level * best // zlib.Z_BEST_COMPRESSION)
