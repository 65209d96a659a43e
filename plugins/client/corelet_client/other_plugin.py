"""What other plugins bring to the client. A name that nobody brings says, when it is touched, what to install."""

from __future__ import annotations

from typing import Any, Final

import corelet

#: The assembled names; untyped, since type checkers see only plugins that are there.
names: Final[Any] = corelet
