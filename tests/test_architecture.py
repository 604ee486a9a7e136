"""The rules that keep the code readable, as tests."""

import ast
import importlib
import re
from functools import cache
from pathlib import Path

import pytest

import xpnet

pytestmark = pytest.mark.untraced
PACKAGE, TESTS = Path(xpnet.__file__).parent, Path(__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
ROOMS = (
    "errors", "backend", "nn", "training", "tables", "saving", "doctor", "report",
    "interchange", "estimators", "playground", "cli",
)  # fmt: skip
# Methods that a user expects where they are; they import what they need when they are called.
CLIMBS = {
    ("nn/network.py", "saving"), ("training/history.py", "report"),
    ("saving/model.py", "interchange"),
}  # fmt: skip
FORMATS = {
    "polars", "safetensors", "rich", "click", "json", "matplotlib",
    "jinja2", "sklearn", "scipy",
}  # fmt: skip


def name_of(path):
    return path.relative_to(PACKAGE).as_posix()


@cache
def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path):
    """Top-level names of everything that a file imports, inside functions too."""
    names = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
    return names


def functions():
    for path in MODULES:
        for node in ast.walk(tree(path)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield path, node


def body_lines(node):
    """Lines of a function's body without its docstring."""
    first = node.body[0]
    documented = (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    )
    body = node.body[1:] if documented else node.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def test_the_mathematics_knows_no_array_library_and_no_file_format():
    for path in sorted((PACKAGE / "nn").glob("*.py")):
        found = imported(path)
        assert not found & ({"numpy", "cupy", "torch", "array_api_compat"} | FORMATS), path.name


def test_tests_load_what_takes_much_memory_when_they_use_it():
    """All that is loaded when tests are collected makes each fork dearer: see tests/lazily.py."""
    large = r"(?:matplotlib|numba|onnx\w*|pandas|polars|scipy|sklearn|torch|xpnet\.estimators)\b"
    loads = re.compile(rf'^(?:(?:import|from) |\w+ = pytest\.importorskip\("){large}', re.MULTILINE)
    files = [
        each for each in TESTS.rglob("*.py") if {"scripts", "sklearn_suite"}.isdisjoint(each.parts)
    ]
    assert [each.name for each in files if loads.search(each.read_text("utf-8"))] == []


def test_only_one_file_imports_cupy():
    users = [name_of(path) for path in MODULES if imported(path) & {"cupy", "cupyx"}]
    assert users == ["backend/cuda.py"]


def test_no_file_is_longer_than_600_lines():
    lengths = {name_of(path): len(path.read_text("utf-8").splitlines()) for path in MODULES}
    assert not {name: lines for name, lines in lengths.items() if lines > 600}


def test_no_function_body_is_longer_than_40_lines():
    long = {f"{name_of(path)}: {node.name}": body_lines(node) for path, node in functions()}
    assert not {name: lines for name, lines in long.items() if lines > 40}


def test_no_class_inherits_from_one_that_inherits():
    """Enumerations and errors aside, one level is enough to understand."""
    parents = {
        node.name: [base.id for base in node.bases if isinstance(base, ast.Name)]
        for path in MODULES
        if path.name not in ("errors.py",)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef)
    }
    deep = {
        name: base
        for name, bases in parents.items()
        for base in bases
        if any(each in parents for each in parents.get(base, ()))
    }
    assert not deep


def test_errors_that_users_cause_have_one_base():
    for name in ("InputError", "InputTypeError", "DeviceError", "FileError", "SaveError"):
        assert issubclass(getattr(xpnet, name), xpnet.XpnetError)
    assert issubclass(xpnet.DivergenceError, xpnet.XpnetError)
    assert issubclass(xpnet.InputError, ValueError)
    assert issubclass(xpnet.InputTypeError, TypeError)


def module_name(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_public_name_exists_and_is_documented(path):
    if path.stem == "__main__":
        return
    module = importlib.import_module(module_name(path))
    assert module.__doc__
    for name in getattr(module, "__all__", ()):
        assert getattr(module, name).__doc__, name


def test_the_public_names_are_those_of_the_contract():
    contract = {
        "MLP", "SGD", "fit", "load", "check_gradients", "diagnose", "XpnetError", "explain_init",
    }  # fmt: skip
    assert contract <= set(xpnet.__all__)
    assert xpnet.__all__ == [*dict.fromkeys(xpnet.__all__)]
    assert set(xpnet.__all__) == set(xpnet._MODULE_OF) == set(dir(xpnet))
    for name, module in xpnet._MODULE_OF.items():
        assert getattr(xpnet, name) is getattr(importlib.import_module(f"xpnet.{module}"), name)
    with pytest.raises(AttributeError, match="module 'xpnet' has no attribute 'mlp'"):
        _ = xpnet.mlp


def imports_of(path, *, on_loading):
    """Names of the package's modules that a file imports: all, or without those in functions."""
    blocks = [tree(path)]
    while blocks:
        node = blocks.pop()
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("xpnet"):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name.startswith("xpnet"))
        elif on_loading and isinstance(node, (ast.FunctionDef, ast.Lambda)):
            continue
        elif not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            blocks += ast.iter_child_nodes(node)


def room_of(name):
    return name.removeprefix("xpnet.").partition(".")[0]


def test_a_file_imports_only_from_its_own_room_and_those_before_it():
    climbs = set()
    for path in MODULES:
        room = room_of(module_name(path))
        if room not in ROOMS:
            assert name_of(path) in ("__init__.py", "__main__.py")
            continue
        climbs |= {
            (name_of(path), other)
            for other in map(room_of, imports_of(path, on_loading=False))
            if other in ROOMS and ROOMS.index(other) > ROOMS.index(room)
        }
    assert climbs == CLIMBS


def test_no_files_of_a_room_import_in_a_circle():
    modules = {module_name(path): path for path in MODULES if path.stem != "__init__"}
    needs = {
        name: {
            found
            for each in imports_of(path, on_loading=True)
            for found in (each, each.rpartition(".")[0])
            if found in modules and room_of(found) == room_of(name)
        }
        for name, path in modules.items()
    }
    while free := [name for name, needed in needs.items() if not needed]:
        for name in free:
            del needs[name]
        for needed in needs.values():
            needed.difference_update(free)
    assert not needs


CONTRIBUTING = (PACKAGE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_the_map_names_every_file():
    start, end = (
        CONTRIBUTING.index("| room | file |"),
        CONTRIBUTING.index("To read the mathematics"),
    )
    named = set(re.findall(r"`([a-z_]+)(?:\.py|/)`", CONTRIBUTING[start:end]))
    folders = {"rules", "gradcheck", "scripts", "recording", "gradients", "repairs"}
    files = {path.stem for path in MODULES if not {"rules", "gradcheck"} & set(path.parts)}
    files -= {"__init__", "__main__"}
    assert files - named == set()
    assert named - files - folders - {"catalogue", *ROOMS} == set()


@pytest.mark.parametrize(
    ("place", "names"), re.findall(r"`([a-z_/]+/[a-z_]+\.py)(?:: ([\w.]+))?`", CONTRIBUTING)
)
def test_every_file_and_name_in_contributing_exists(place, names):
    if not (PACKAGE / place).exists():
        assert (PACKAGE.parent / place).exists()
        return
    found = importlib.import_module("xpnet." + place.removesuffix(".py").replace("/", "."))
    for name in filter(None, names.split(".")):
        found = getattr(found, name)
