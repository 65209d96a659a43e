"""What tests of the kernel share."""

from __future__ import annotations

import importlib
from types import ModuleType

import pytest


@pytest.fixture(params=["fast", "pure"])
def wire(request: pytest.FixtureRequest) -> ModuleType:
    """Each wire in turn, whichever the kernel itself uses."""
    try:
        return importlib.import_module(f"corelet._{request.param}")
    except ImportError:
        pytest.skip("the extension is not built")
