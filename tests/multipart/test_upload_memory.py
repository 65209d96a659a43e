from __future__ import annotations

import sys

import pytest

from tests.multipart.upload_memory import HANDLERS, MIB, measure


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("path", HANDLERS)
def test_large_upload_takes_no_more_memory_than_a_small_one(path: str) -> None:
    assert measure(path, 128 * MIB)["growth_MiB"] < 20
