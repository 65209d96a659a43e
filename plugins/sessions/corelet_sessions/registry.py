"""Storages by the scheme of a URL."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from corelet import PluginConflictError

from .storage import AbstractStorage

#: Makes a storage of a URL.
StorageFactory = Callable[[str], AbstractStorage]


class StorageRegistry:
    """Storages by scheme; what ``corelet_sessions_storages`` gets."""

    def __init__(self) -> None:
        self._factories: dict[str, StorageFactory] = {}

    @property
    def factories(self) -> Mapping[str, StorageFactory]:
        """The factories registered so far."""
        return self._factories

    def add(self, scheme: str, factory: StorageFactory) -> None:
        """Register what makes a storage of a URL with this scheme.

        Raises:
            PluginConflictError: the scheme is taken.
        """
        taken = self._factories.setdefault(scheme, factory)
        if taken is not factory:
            raise PluginConflictError(f"URL scheme {scheme!r} has two session storages: {taken!r} and {factory!r}")

    def make_storage(self, url: str) -> AbstractStorage:
        """Make the storage that a URL asks for.

        Raises:
            ValueError: nobody has its scheme.
        """
        scheme = url.partition(":")[0].lower()
        if scheme not in self._factories:
            known = ", ".join(f"{name}:" for name in sorted(self._factories))
            raise ValueError(f"no session storage for a URL with the scheme {scheme!r}, known: {known}")
        return self._factories[scheme](url)
