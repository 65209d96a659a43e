"""Typed keys for what applications, requests and responses hold.

``app[db_key]`` has the type that the key was made with, where ``app["db"]`` would be ``Any``. Two keys never
collide, whatever their names: a key equals only itself.
"""

from __future__ import annotations

import sys
from typing import Generic, TypeVar, get_args

_T = TypeVar("_T")


class NotAppKeyWarning(UserWarning):
    """Warn of a plain string as a key of an application.

    Nothing of ours warns: strings are as good as keys. The class is here for programs that filter it.
    """


class BaseKey(Generic[_T]):
    """Name a value and its type. Use one of the subclasses.

    Args:
        name: what the value is; only for people, it need not be unique. The key shows it with the module that made it.
        t: the type of the value; may be left out, ``AppKey[int]("count")`` says it as well.
    """

    __slots__ = ("__orig_class__", "_name", "_type")

    #: Set by typing after ``__init__`` where the key was made as ``Key[type](...)``.
    __orig_class__: type[object]

    def __init__(self, name: str, t: type[_T] | None = None) -> None:
        self._name = f"{_find_calling_module()}.{name}"
        self._type = t

    def __lt__(self, other: object) -> bool:
        """Sort by name and before strings, so that the keys of a mapping can be listed in order."""
        return not isinstance(other, BaseKey) or self._name < other._name

    def __gt__(self, other: object) -> bool:
        return isinstance(other, BaseKey) and self._name > other._name

    def __repr__(self) -> str:
        return f"<{type(self).__name__}({self._name}, type={self._show_type()})>"

    def _show_type(self) -> str:
        value_type: object = self._type
        if value_type is None and hasattr(self, "__orig_class__"):
            (value_type,) = get_args(self.__orig_class__)
        if value_type is None:
            return "<<Unknown>>"
        if not isinstance(value_type, type):
            return repr(value_type)
        if value_type.__module__ == "builtins":
            return value_type.__qualname__
        return f"{value_type.__module__}.{value_type.__qualname__}"


class AppKey(BaseKey[_T]):
    """A key of an :class:`~corelet.web.Application`."""

    __slots__ = ()


class RequestKey(BaseKey[_T]):
    """A key of a :class:`~corelet.web.Request`."""

    __slots__ = ()


class ResponseKey(BaseKey[_T]):
    """A key of a :class:`~corelet.web.StreamResponse`."""

    __slots__ = ()


def _find_calling_module() -> str:
    """Name the module outside of this one, and of typing, that is making a key."""
    frame = sys._getframe(1)
    while frame.f_globals.get("__name__") in (__name__, "typing") and frame.f_back is not None:
        frame = frame.f_back
    return str(frame.f_globals.get("__name__", "<unknown>"))
