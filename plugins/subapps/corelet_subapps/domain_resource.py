"""Applications mounted at a domain."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Self

from .domain import Domain, DomainTable
from .subapp_resource import SubAppResource, get_dispatcher

if TYPE_CHECKING:
    from corelet.abc import AbstractMatchInfo
    from corelet.web import Application

_NOTHING: Final[tuple[None, frozenset[str]]] = (None, frozenset())


class MatchedSubAppResource(SubAppResource):
    """An application mounted at a domain, or at a mask of domains. Made by ``app.add_domain``.

    It goes before all paths of the outer application. Of several that have a host, the one mounted first answers.

    Args:
        domain: a domain or a mask, as :class:`Domain` reads it.
        app: the inner application.
        beside: what was mounted in the same router before, if anything.

    Raises:
        ValueError: the domain is none; or the application would never be asked, for one mounted before has the domain.

    Attributes:
        domain: the domain.
    """

    goes_first = True
    certain: Mapping[str, Any] = MappingProxyType({})  # it takes more than the path

    def __init__(self, domain: str, app: Application, *, beside: MatchedSubAppResource | None = None) -> None:
        super().__init__()
        self.domain: Final = Domain(domain)
        # Shared by all of one router, and looked into by the first of them: the others are not asked.
        self._table: DomainTable[MatchedSubAppResource] = DomainTable() if beside is None else beside._table
        self._table.add(self.domain, self)
        self.hold(app, "")

    @classmethod
    def mount(cls, outer: Application, domain: str, app: Application) -> Self:
        """Mount an application in an outer one; raises as the class."""
        router = get_dispatcher(outer)
        first = next((each for each in router.resources() if isinstance(each, cls)), None)
        resource = cls(domain, app, beside=first)
        router.register_resource(resource)
        if first is not None:
            router.unindex_resource(resource)
        return resource

    def find(self, request: Any) -> tuple[AbstractMatchInfo | None, Collection[str]] | None:
        """Match a request at once, by all domains of this router."""
        resource = self._table.find(request.host, request.scheme)
        return _NOTHING if resource is None else super(MatchedSubAppResource, resource).find(request)

    async def resolve(self, request: Any) -> tuple[AbstractMatchInfo | None, set[str]]:
        """Match a request, by all domains of this router."""
        resource = self._table.find(request.host, request.scheme)
        return (None, set()) if resource is None else await super(MatchedSubAppResource, resource).resolve(request)

    @property
    def canonical(self) -> str:
        """The domain."""
        return str(self.domain)

    def add_prefix(self, prefix: str) -> None:
        """Move the application's routes below a prefix, as the outer application is."""
        self.router.add_prefix(prefix)

    def get_info(self) -> dict[str, Any]:
        """Facts: ``app`` and ``rule``, the domain."""
        return {"app": self.app, "rule": self.domain}

    def __repr__(self) -> str:
        return f"<MatchedSubAppResource {self.domain} -> {self.app!r}>"
