"""Definitions of static files, before there is an application to have them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from corelet.web import AbstractRoute, AbstractRouteDef

if TYPE_CHECKING:
    import os

    from corelet.web import UrlDispatcher


@dataclass(frozen=True, repr=False)
class StaticDef(AbstractRouteDef):
    """The definition of a directory to serve.

    Args:
        prefix: of the addresses.
        path: the directory.
        kwargs: further arguments of ``router.add_static``.
    """

    prefix: str
    path: str | os.PathLike[str]
    kwargs: dict[str, Any]

    def register(self, router: UrlDispatcher) -> list[AbstractRoute]:
        """Add the directory to a router."""
        return list(router.add_static(self.prefix, self.path, **self.kwargs))

    def __repr__(self) -> str:
        arguments = "".join(f", {name}={value!r}" for name, value in sorted(self.kwargs.items()))
        return f"<StaticDef {self.prefix} -> {self.path}{arguments}>"


def static(prefix: str, path: str | os.PathLike[str], **kwargs: Any) -> StaticDef:
    """Define a directory to serve below a prefix, with the arguments of ``router.add_static``."""
    return StaticDef(prefix, path, kwargs)
