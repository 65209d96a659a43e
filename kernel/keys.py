"""Typed keys for what applications, requests and responses hold.

``app[db_key]`` has the type that the key was made with, where ``app["db"]`` would be ``Any``. Two keys never
collide, whatever their names: a key equals only itself.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, MutableMapping
from typing import Any, Generic, TypeVar, get_args, overload

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


class DataMapping(MutableMapping["str | BaseKey[Any]", Any]):
    """Data that middlewares, handlers and plugins leave on an object, by typed keys or strings.

    A subclass has the attribute ``own_data``, None at first: most objects are never asked for any. Such an object is
    true and equals only itself, whatever it holds.
    """

    __slots__ = ()

    own_data: dict[Any, Any] | None

    @overload
    def __getitem__(self, key: BaseKey[_T]) -> _T: ...

    @overload
    def __getitem__(self, key: str) -> Any: ...

    def __getitem__(self, key: str | BaseKey[Any]) -> Any:
        if self.own_data is None:
            raise KeyError(key)
        return self.own_data[key]

    @overload
    def __setitem__(self, key: BaseKey[_T], value: _T) -> None: ...

    @overload
    def __setitem__(self, key: str, value: Any) -> None: ...

    def __setitem__(self, key: str | BaseKey[Any], value: Any) -> None:
        if self.own_data is None:
            self.own_data = {}
        self.own_data[key] = value

    def __delitem__(self, key: str | BaseKey[Any]) -> None:
        if self.own_data is None:
            raise KeyError(key)
        del self.own_data[key]

    def __len__(self) -> int:
        return 0 if self.own_data is None else len(self.own_data)

    def __iter__(self) -> Iterator[str | BaseKey[Any]]:
        return iter(() if self.own_data is None else self.own_data)

    def __bool__(self) -> bool:
        return True

    __eq__ = object.__eq__
    __hash__ = object.__hash__


def _find_calling_module() -> str:
    """Name the module outside of this one, and of typing, that is making a key."""
    frame = sys._getframe(1)
    while frame.f_globals.get("__name__") in (__name__, "typing") and frame.f_back is not None:
        frame = frame.f_back
    return str(frame.f_globals.get("__name__", "<unknown>"))
