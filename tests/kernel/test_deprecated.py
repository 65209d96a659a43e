"""The warnings for what will go."""

from __future__ import annotations

import warnings

import pytest

from corelet.deprecated import CoreletDeprecationWarning, CoreletRemovedIn2Warning


def test_a_removal_warning_is_caught_as_any_deprecation_of_ours() -> None:
    with pytest.warns(CoreletDeprecationWarning):
        warnings.warn("use B", CoreletRemovedIn2Warning, stacklevel=1)


def test_python_shows_and_hides_our_warnings_as_its_own_deprecations() -> None:
    assert issubclass(CoreletDeprecationWarning, DeprecationWarning)
