"""The rules of the house: who imports whom, how long a module is, what every public name carries."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tinynet as tn
from tinynet.kernels import reference
from tinynet.layers import LAYERS, Layer

ROOT = Path(__file__).resolve().parent.parent
LONGEST = 500
"""Lines of a module."""
LONGEST_FUNCTION = 60
"""Lines of a function, its decorators and its docstring left out."""

FOLDERS = {"cli": "tinynet.cli", "tinynet": "tinynet"}
LEVELS = [
    {"archive", "checks", "drawing", "errors", "files", "lazy", "settings", "terminal", "version", "weights"},
    {"kernels"},
    {"layers"},
    {"network", "data"},
    {"storage", "tasks", "training"},
    {"sequential"},
    {"recipes"},
    {"cli", "__main__"},
]
"""From the ground up: a module imports from its own level and from below, inside functions and for typing too."""
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names}
HEAVY = {"numba", "llvmlite", "PIL", "click"}
"""Packages that cost time: imported inside functions, or in the one place that is loaded only when it is needed."""
COMPILED = "tinynet.kernels.cpu.", "tinynet.kernels.cuda."
HEAVY_HOMES = {"numba": COMPILED, "llvmlite": COMPILED, "click": ("tinynet.cli.",)}
ALLOWED = {*sys.stdlib_module_names, "tinynet", "numpy", *HEAVY, "cuda"}  # cuda.core comes with numba-cuda


def modules():
    """Every module of the package: its name and its file."""
    found = {}
    for folder, package in FOLDERS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            found[".".join([package, *parts]).removesuffix(".__init__")] = path
    return found


MODULES = modules()
TREES = {name: ast.parse(path.read_text("utf-8")) for name, path in MODULES.items()}
SOURCES = [
    *MODULES.values(),
    *(path for name in ("tests", "bench") for path in sorted((ROOT / name).rglob("*.py"))),
]
each_module = pytest.mark.parametrize("module", MODULES)


def part(module):
    """The part of the house that a module belongs to: tinynet.kernels.cpu.jit → kernels."""
    return (module.split(".") + [""])[1]


def imports(module):
    """(absolute name of what is imported, line, whether at the top of the module and not for typing alone)."""
    package = module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]
    later = {
        id(inner)
        for node in ast.walk(TREES[module])
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) or _is_type_checking(node)
        for inner in ast.walk(node)
    }
    for node in ast.walk(TREES[module]):
        for name in _imported(node, package):
            yield name, node.lineno, id(node) not in later


def _is_type_checking(node):
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def _imported(node, package):
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
        base = ".".join(filter(None, (base, node.module)))
        return [_home(f"{base}.{alias.name}") if base.startswith("tinynet") else base for alias in node.names]
    if isinstance(node, ast.Call) and ast.unparse(node.func) in (
        "import_module",
        "importlib.import_module",
        "__import__",
    ):
        argument = node.args[0]
        return [argument.value] if isinstance(argument, ast.Constant) and not node.args[1:] else []
    return []


def _home(name):
    """A name that `tinynet` offers lazily stands for the module that it comes from."""
    offered = name.split(".")[1]
    if name.count(".") == 1 and offered in tn.__all__ and not offered.startswith("_"):
        return f"{getattr(tn, offered).__module__}.{offered}"
    return name


def test_the_modules_are_found():
    assert {"tinynet.network", "tinynet.kernels.reference.dense", "tinynet.layers.conv"} <= MODULES.keys()


@each_module
def test_imports_go_one_way(module):
    if module == "tinynet":
        return  # the face: it names what lies in the house, and imports it only on demand
    own = LEVEL[part(module)]
    upward = [
        f"line {line}: {name}"
        for name, line, _ in imports(module)
        if name.split(".")[0] == "tinynet" and part(name) and LEVEL[part(name)] > own
    ]
    assert not upward, f"{module} imports upward"
    whole = [line for name, line, _ in imports(module) if name == "tinynet"]
    assert not whole or own >= LEVEL["recipes"], f"{module} imports the whole package, line {whole}"


def test_no_files_import_each_other_in_a_circle():
    """Packages included: a package's `__init__` counts as importing what it names; the door may name all."""
    files = [module for module in MODULES if module != "tinynet"]
    graph = {
        module: {_file(name) for name, *_ in imports(module)} & set(files) - {module} for module in files
    }
    while leaves := [module for module, above in graph.items() if not above]:
        for module in leaves:
            del graph[module]
        graph = {module: above - set(leaves) for module, above in graph.items()}
    assert not graph, "these import each other in a circle: " + " → ".join(_circle(graph))


def _file(name):
    """The module in which an imported name lies."""
    while name not in MODULES and "." in name:
        name = name.rpartition(".")[0]
    return name


def _circle(graph):
    """One way round."""
    way = [min(graph)]
    while way[-1] not in way[:-1]:
        way.append(min(graph[way[-1]]))
    return way[way.index(way[-1]) :]


@each_module
def test_back_ends_do_not_know_each_other(module):
    own = module.split(".")[:3]
    if own[:2] == ["tinynet", "kernels"] and own[2:] in (["cpu"], ["cuda"], ["reference"]):
        others = {
            name
            for name, _, _ in imports(module)
            if name.startswith("tinynet.kernels.")
            and name.split(".")[2] not in (*own[2:], "caching", "forking")
        }
        # A faster back end may take names and constants of the definition; the definition knows no other.
        assert all(
            own[2] != "reference" and name.startswith("tinynet.kernels.reference") for name in others
        ), others


@each_module
def test_only_what_is_installed_with_the_package_is_imported(module):
    assert {name.split(".")[0] for name, _, _ in imports(module)} <= ALLOWED


@each_module
def test_what_costs_time_is_imported_when_it_is_needed(module):
    for name, line, at_top in imports(module):
        package = name.split(".")[0]
        if at_top and package in HEAVY:
            assert f"{module}.".startswith(HEAVY_HOMES.get(package, ("nowhere",))), (
                f"{module} imports {package} at its top, line {line}"
            )


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_is_too_long(path):
    lines = len(path.read_text("utf-8").splitlines())
    assert lines <= LONGEST, f"{path} has {lines} lines"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_function_is_too_long(path):
    tree = ast.parse(path.read_text("utf-8"))
    functions = (n for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef)))
    long = {node.name: lines for node in functions if (lines := _lines_of(node)) > LONGEST_FUNCTION}
    assert not long, f"{path} has functions of so many lines"


def _lines_of(node):
    first = node.body[0]
    documented = ast.get_docstring(node) is not None
    return node.end_lineno - node.lineno + 1 - documented * (first.end_lineno - first.lineno + 1)


# ---- public names ----


def definitions(tree, prefix=""):
    """Public classes, functions and methods: (dotted name, node, class that holds it)."""
    for node in tree.body:
        if not isinstance(
            node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        ) or node.name.startswith("_"):
            continue
        yield prefix + node.name, node, tree if isinstance(tree, ast.ClassDef) else None
        if isinstance(node, ast.ClassDef):
            yield from definitions(node, f"{prefix}{node.name}.")


def inherited(module, name):
    """True where a method overrides one that has a docstring: it inherits the text. Unknown where Numba is missing."""
    if "." not in name:
        return False
    try:
        holder = importlib.import_module(module)
    except ImportError:
        return True
    *path, method = name.split(".")
    for step in path:
        holder = getattr(holder, step)
    return any(getattr(getattr(base, method, None), "__doc__", None) for base in holder.__mro__[1:])


def test_every_public_name_has_a_docstring():
    without = [module for module, tree in TREES.items() if not ast.get_docstring(tree)]
    for module, tree in TREES.items():
        for name, node, _ in definitions(tree):
            defined = any(ast.unparse(each) == "as_defined" for each in node.decorator_list)
            if not ast.get_docstring(node) and not defined and not inherited(module, name):
                without.append(f"{module}.{name}")
    assert not without, "without a docstring: " + ", ".join(without)


def test_every_public_function_has_type_hints():
    without = []
    for module, tree in TREES.items():
        for name, node, holder in definitions(tree):
            if (
                not isinstance(node, ast.ClassDef)
                and not inherited(module, name)
                and not _speaks_llvm(module, name)
            ):
                without += [f"{module}.{name}({problem})" for problem in _unhinted(node, holder)]
    assert not without, "without type hints: " + ", ".join(without)


def _speaks_llvm(module, name):
    """Below the kernels that others call, the compiled back end handles values and builders of Numba and LLVM."""
    return module.startswith(COMPILED) and name not in reference.__all__


def _unhinted(node, holder):
    arguments = [
        *node.args.posonlyargs,
        *node.args.args,
        *node.args.kwonlyargs,
        node.args.vararg,
        node.args.kwarg,
    ]
    static = any(ast.unparse(decorator) == "staticmethod" for decorator in node.decorator_list)
    if holder is not None and not static:
        arguments = arguments[1:]
    yield from (
        argument.arg for argument in arguments if argument is not None and argument.annotation is None
    )
    if node.returns is None:
        yield "return"


@each_module
def test_only_commands_print(module):
    if part(module) in ("cli", "__main__"):
        return
    prints = [
        node.lineno
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "print"
        and not any(keyword.arg == "file" for keyword in node.keywords)
    ]
    assert not prints, f"{module} prints in line {prints}"


@each_module
def test_the_library_speaks_of_settings_not_of_options(module):
    """The command line turns them into its own; a comment or docstring that names an option would soon be wrong."""
    if part(module) in ("cli", "__main__"):
        return
    texts = [
        node
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    found = [f"line {node.lineno}" for node in texts if re.search(r"(?<![\w-])--[a-z]", node.value)]
    assert not found, f"{module} names an option of the command line"


FOREIGN = re.compile(r"(?<![\w.:~/])/(?:work|home|root|Users|tmp)/\w")
"""A path on somebody's machine."""


def committed():
    """Text files under version control; outside a checkout, the package and the tests."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        return sorted([*MODULES.values(), *(ROOT / "tests").rglob("*.py")])
    kinds = {".py", ".md", ".toml", ".yml", ".yaml", ".cfg", ".txt", ".sh", ""}
    paths = [ROOT / name for name in listed.stdout.splitlines()]
    return [path for path in paths if path.suffix in kinds and path.is_file()]


def test_nothing_names_a_place_outside_the_project():
    found = []
    for path in committed():
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            if FOREIGN.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}")
    assert not found, "\n".join(found)


# ---- the face ----


def test_every_name_of_the_face_is_there():
    for name in tn.__all__:
        assert getattr(tn, name) is not None
    unnamed = LAYERS.keys() - {*tn.__all__}
    assert not unnamed, f"name them in tinynet/__init__.py: {unnamed}"
    assert set(tn.__all__) <= set(dir(tn))
    with pytest.raises(AttributeError, match="no attribute 'Densee'"):
        _ = tn.Densee


def test_every_layer_is_in_the_table_of_the_file_format():
    def subclasses(kind):
        return {kind, *(below for child in kind.__subclasses__() for below in subclasses(child))}

    concrete = {
        kind.__name__
        for kind in subclasses(Layer)
        if kind.__module__.startswith("tinynet.") and "__dataclass_fields__" in vars(kind)
    }
    unnamed = concrete ^ {layer.__name__ for layer in LAYERS.values()}
    assert not unnamed, f"name them in LAYERS, in tinynet/layers/__init__.py: {unnamed}"


def test_back_ends_have_the_same_names_and_signatures():
    pytest.importorskip("numba")
    from tinynet.kernels import cpu

    for name in reference.__all__:
        definition, fast = getattr(reference, name), getattr(cpu, name, None)
        assert fast is not None, f"the cpu back end has no {name}"
        if inspect.isfunction(definition):
            expected, found = (
                [(p.name, p.default, p.kind) for p in inspect.signature(function).parameters.values()]
                for function in (definition, fast)
            )
            assert found == expected, f"{name} takes other arguments on the cpu back end"
        else:
            assert fast == definition, name


def loaded_by(code):
    """The modules that a fresh process holds after running a line of Python."""
    found = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(found.stdout.split())


@pytest.mark.parametrize(
    "code", ["import tinynet", "import tinynet; dir(tinynet); tinynet.__version__", "import tinynet.cli"]
)
def test_importing_the_face_or_the_commands_costs_nothing(code):
    assert not loaded_by(code) & {"numpy", "numba", "PIL"}


def test_importing_everything_but_the_kernels_of_numba_does_not_load_it():
    compiled = ("tinynet.kernels.cpu", "tinynet.kernels.cuda", "tinynet.__main__")
    names = [name for name in MODULES if not name.startswith(compiled)]
    assert not loaded_by(f"import {', '.join(names)}") & {"numba", "PIL"}


def test_nothing_compiles_at_import():
    pytest.importorskip("numba")
    code = (
        "import numba.core.compiler as compiler\n"
        "def refuse(*arguments, **settings): raise SystemExit('compiled at import')\n"
        "compiler.compile_extra = compiler.compile_ir = refuse\n"
        "import tinynet.kernels.cpu, tinynet.kernels.cuda"
    )
    assert {"tinynet.kernels.cpu", "tinynet.kernels.cuda"} <= loaded_by(code)
