"""Everything deprecated, and the warnings that say so, in one place.

A deprecated thing works for at least two minor versions. Its warning is one of the classes below, so that a
test suite can turn "is removed in 2.0" into an error and leave later removals alone.
"""

from __future__ import annotations


class CoreletDeprecationWarning(DeprecationWarning):
    """Any warning of ours that something will go; its subclasses name the version that removes it."""


class CoreletRemovedIn2Warning(CoreletDeprecationWarning):
    """Warn of something that corelet 2.0 removes; the message says what to use instead."""
