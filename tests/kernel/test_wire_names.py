"""Both wires have the same names, and the stub of the compiled one lists them."""

from __future__ import annotations

import ast
import inspect
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from corelet import _pure
from corelet import wire as door

STUB = Path(str(_pure.__file__)).with_name("_fast.pyi")


def list_stub() -> dict[str, set[str]]:
    """Classes of the stub with their public members, those of its base classes as well."""
    classes = [node for node in ast.parse(STUB.read_text()).body if isinstance(node, ast.ClassDef)]
    members: dict[str, set[str]] = {}
    for node in classes:
        own = {item.name for item in node.body if isinstance(item, ast.FunctionDef) and item.name[0] != "_"}
        inherited = (members[base.id] for base in node.bases if isinstance(base, ast.Name))
        members[node.name] = own.union(*inherited)
    return {name: names for name, names in members.items() if name[0] != "_"}


def list_functions(module: ModuleType) -> set[str]:
    return {name for name in door.__all__ if inspect.isroutine(getattr(module, name))}


def test_wire_has_the_names_that_the_door_hands_on(wire: ModuleType) -> None:
    assert set(dir(wire)).issuperset(door.__all__)
    assert list_functions(wire) == {
        node.name for node in ast.parse(STUB.read_text()).body if isinstance(node, ast.FunctionDef)
    }


def test_class_has_the_members_of_the_stub(wire: ModuleType) -> None:
    stub = list_stub()
    assert stub.keys() == {name for name in door.__all__ if inspect.isclass(getattr(door, name))}
    assert {name: {member for member in dir(getattr(wire, name)) if member[0] != "_"} for name in stub} == stub


@pytest.mark.parametrize("name", sorted(list_functions(_pure)))
def test_function_takes_the_same_arguments_on_both_wires(name: str) -> None:
    fast = pytest.importorskip("corelet._fast", reason="the extension is not built")
    made = [list(inspect.signature(getattr(module, name)).parameters) for module in (fast, _pure)]
    assert made[0] == made[1]


@pytest.mark.parametrize(("switch", "expected"), [("1", ("pure",)), ("", ("fast", "pure"))])
def test_environment_selects_the_wire(switch: str, expected: tuple[str, ...]) -> None:
    environment = {**os.environ, "CORELET_NO_EXTENSIONS": switch}
    program = "from corelet import wire; print(wire.IMPLEMENTATION)"
    found = subprocess.check_output([sys.executable, "-c", program], env=environment, text=True)
    assert found.strip() in expected


def test_wire_says_which_it_is(wire: ModuleType) -> None:
    assert wire.__name__ == f"corelet._{wire.IMPLEMENTATION}"
