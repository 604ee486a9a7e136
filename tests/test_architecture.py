"""The rules that keep the code readable and quick to start, as tests."""

import ast
import importlib
import os
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

import xpnet

PACKAGE = Path(xpnet.__file__).parent
MODULES = sorted(PACKAGE.glob("*.py"))
MATHEMATICS = (
    "activations", "losses", "initialisers", "network", "objective", "optimizers", "schedules",
)  # fmt: skip
FORMATS = {"polars", "safetensors", "rich", "typer", "json", "matplotlib", "sklearn", "scipy"}
HEAVY = ("polars", "scipy", "sklearn", "rich", "typer", "matplotlib", "safetensors")


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


@pytest.mark.parametrize("name", MATHEMATICS)
def test_the_mathematics_knows_no_array_library_and_no_file_format(name):
    found = imported(PACKAGE / f"{name}.py")
    assert not found & ({"numpy", "cupy", "torch", "array_api_compat"} | FORMATS)


def test_only_one_file_imports_cupy():
    users = [path.name for path in MODULES if imported(path) & {"cupy", "cupyx"}]
    assert users == ["device_cuda.py"]


def test_no_file_is_longer_than_400_lines():
    long = {
        path.name: lines
        for path in MODULES
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 400
    }
    assert not long


def test_no_function_body_is_longer_than_40_lines():
    long = {f"{path.name}: {node.name}": body_lines(node) for path, node in functions()}
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


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_every_public_name_exists_and_is_documented(path):
    if path.stem == "__main__":
        return
    module = importlib.import_module("xpnet" if path.stem == "__init__" else f"xpnet.{path.stem}")
    assert module.__doc__
    for name in getattr(module, "__all__", ()):
        assert getattr(module, name).__doc__, name


def test_the_public_names_are_those_of_the_contract():
    contract = {
        "MLP", "SGD", "fit", "load", "check_gradients", "diagnose", "XpnetError", "explain_init",
    }  # fmt: skip
    assert contract <= set(xpnet.__all__)
    assert xpnet.__all__ == [*dict.fromkeys(xpnet.__all__)]
    assert set(xpnet.__all__) <= set(dir(xpnet))
    with pytest.raises(AttributeError, match="module 'xpnet' has no attribute 'mlp'"):
        _ = xpnet.mlp


def run(*arguments):
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "", "COVERAGE_PROCESS_START": ""}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=True, env=environment
    ).stdout


def seconds(statement, before="pass"):
    """Time of a statement in a fresh process: of eight, the one that others disturbed least."""
    script = (
        f"{before}\nimport time\nstart = time.perf_counter()\n{statement}\n"
        "print(time.perf_counter() - start)"
    )
    return min(float(run("-c", script)) for _ in range(8))


def test_importing_xpnet_loads_little_else():
    script = (
        "import sys, xpnet; xpnet.MLP, xpnet.fit\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    assert run("-c", script).strip() == "[]"


def test_importing_xpnet_takes_less_than_a_tenth_of_a_second_above_numpy():
    """Or, where the machine is slow, less than NumPy takes."""
    everything = "import xpnet; xpnet.MLP, xpnet.fit, xpnet.SGD, xpnet.Adam"
    assert seconds(everything, before="import numpy") < max(0.1, seconds("import numpy"))


def test_the_command_line_helps_within_four_tenths_of_a_second():
    if not (PACKAGE / "cli.py").is_file():
        pytest.skip("no command line yet")
    show = (
        "import sys\nsys.argv = ['xpnet', '--help']\nimport io, contextlib\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        "    import xpnet.cli\n"
        "    xpnet.cli.main()"
    )
    assert seconds(show) < max(0.4, 4.0 * seconds("import numpy"))


def rooms():
    """The map's rows, each as the modules that it names."""
    text = (PACKAGE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text[text.index("| room |") : text.index("To read the mathematics")]
    names = {path.stem for path in MODULES} - {"__init__", "__main__"}
    for line in table.splitlines()[2:]:
        if line.startswith("|"):
            told = re.findall(r"`([a-z_*]+)`", line.split("|")[2])
            assert not [each for each in told if not any(fnmatch(name, each) for name in names)]
            yield {name for name in names if any(fnmatch(name, each) for each in told)}


def imported_on_loading(path):
    """Modules of the package that a file imports outside functions and type checking."""
    blocks = [tree(path).body]
    while blocks:
        for node in blocks.pop():
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("xpnet"):
                _, _, module = (node.module or "").partition(".")
                yield from [module] if module else [alias.name for alias in node.names]
            elif isinstance(node, ast.Import):
                names = [alias.name.partition(".") for alias in node.names]
                yield from [name for package, _, name in names if package == "xpnet" and name]
            elif not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
                blocks += [getattr(node, part, []) for part in ("orelse", "finalbody")]
                blocks += [each.body for each in getattr(node, "handlers", [])]
                blocks += [node.body] if isinstance(node, (ast.If, ast.Try, ast.With)) else []


def test_the_map_of_the_modules_names_each_of_them_once():
    told = [name for room in rooms() for name in room]
    assert sorted(told) == sorted({path.stem for path in MODULES} - {"__init__", "__main__"})


def test_a_module_imports_only_its_own_room_and_those_above():
    known = set()
    for room in rooms():
        known |= room
        for name in room:
            found = set(imported_on_loading(PACKAGE / f"{name}.py")) - {"__version__"}
            assert not found - known, name
