"""ASGI applications inside of corelet's."""

from __future__ import annotations

from .lifespan import AsgiLifespanError
from .mount import mount_asgi
from .resource import AsgiResource

__all__ = ["AsgiLifespanError", "AsgiResource", "mount_asgi"]
