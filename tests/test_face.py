"""The door of the package: what it offers, to users, editors, freezers and old versions of Python."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import tinynet as tn

PACKAGE = Path(tn.__file__).parent
SOURCE = (PACKAGE / "__init__.py").read_text("utf-8")
PYPROJECT = PACKAGE.parent / "pyproject.toml"


def hidden_imports(source):
    """Names that are imported under TYPE_CHECKING."""
    blocks = [
        n for n in ast.parse(source).body if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"
    ]
    imports = [node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.name for node in imports for alias in node.names}


def test_editors_and_freezers_see_what_the_package_offers():
    assert {*tn.__all__} - {"__version__"} <= hidden_imports(SOURCE)
    assert {*tn._MODULES, "cli", "weights", "cpu", "reference"} <= hidden_imports(SOURCE)


def test_freezers_see_every_command():
    import tinynet.cli

    unseen = {*tinynet.cli.VERBS} - hidden_imports(Path(tinynet.cli.__file__).read_text("utf-8"))
    assert not unseen, f"import them under TYPE_CHECKING in cli/__init__.py: {unseen}"


def test_modules_are_there_without_being_imported():
    code = (
        "import sys, tinynet as tn; assert 'numpy' not in sys.modules\n"
        "assert {'training', 'data', 'kernels', 'layers'} <= {*dir(tn)} and 'text' in dir(tn.data)\n"
        "assert 'read' in dir(tn.data.pictures) and 'numpy' not in sys.modules\n"
        "tn.data.pictures.read.read_image, tn.data.pictures.digit\n"
        "tn.training.losses, tn.data.text.characters.encode, tn.kernels.device.threads, tn.layers.LAYERS, tn.tasks, tn.recipes\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match=r"'tinynet\.data' has no attribute 'films'"):
        _ = tn.data.films


def test_a_name_as_pytorch_spells_it_is_answered_with_ours():
    with pytest.raises(AttributeError, match=r"'tinynet' has no attribute 'Conv2d'; did you mean .*Conv2D"):
        _ = tn.Conv2d  # pyright: ignore[reportAttributeAccessIssue]
    assert not hasattr(tn, "__wrapped__")


def test_keras_names_are_the_same_layers():
    for longer, ours in {
        "MaxPooling2D": tn.MaxPool2D,
        "AveragePooling1D": tn.AvgPool1D,
        "BatchNormalization": tn.BatchNorm,
        "SimpleRNN": tn.RNN,
        "GlobalAveragePooling2D": tn.GlobalAveragePool2D,
        "GlobalMaxPooling2D": tn.GlobalMaxPool2D,
        "Convolution2D": tn.Conv2D,
    }.items():
        assert getattr(tn, longer) is ours
    assert tn.SimpleRNN(3).config()["type"] == "RNN"


def test_an_old_python_is_answered_by_a_sentence(monkeypatch):
    for name in ("__init__.py", "__main__.py", "version.py"):
        ast.parse((PACKAGE / name).read_text("utf-8"), feature_version=(3, 8))
    monkeypatch.setattr(sys, "version_info", (3, 9, 18))
    monkeypatch.setattr(sys, "version", "3.9.18 (main)")
    with pytest.raises(
        ImportError, match=r"^tinynet needs Python 3\.10 or newer, but this is Python 3\.9\.18$"
    ):
        exec(compile(SOURCE, "tinynet", "exec"), {"__name__": "tinynet", "__file__": tn.__file__})


@pytest.mark.skipif(
    not PYPROJECT.is_file() or sys.version_info < (3, 11), reason="needs a checkout, and tomllib"
)
def test_the_distribution_has_a_name_of_its_own_and_says_what_it_is_typed():
    import tomllib

    found = tomllib.loads(PYPROJECT.read_text("utf-8"))
    assert found["project"]["name"] == "tinynet-numba" and list(found["project"]["scripts"]) == ["tinynet"]
    assert (PACKAGE / "py.typed").is_file()
    assert "py.typed" in found["tool"]["setuptools"]["package-data"]["tinynet"]
    assert found["tool"]["distutils"]["editable_wheel"]["mode"] == "compat"


def test_a_network_is_shown_as_its_summary(capsys):
    net = tn.Sequential([tn.Flatten(), tn.Dense(3)], (2, 2))
    net.summary()
    assert repr(net) + "\n" == capsys.readouterr().out and "dense_1  Dense(units=3)" in repr(net)


def test_a_source_distribution_holds_all_that_tests_need(tmp_path):
    setuptools = pytest.importorskip("setuptools")
    root = PYPROJECT.parent
    if int(setuptools.__version__.split(".")[0]) < 77 or not PYPROJECT.exists():
        pytest.skip("needs setuptools 77, and a clone")
    ignored = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__")
    shutil.copytree(root, tmp_path / "clone", ignore=ignored)
    build = "import sys, setuptools.build_meta as b; print(b.build_sdist(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", build, tmp_path], cwd=tmp_path / "clone", capture_output=True
    )
    assert done.returncode == 0, done.stderr
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        held = {name.partition("/")[2] for name in file.getnames()}
    folders = ("tests", "bench", "weights", "cli", "tinynet")
    files = {
        f
        for folder in folders
        for f in (root / folder).rglob("*")
        if "__pycache__" not in f.parts and f.is_file()
    }
    needed = {str(f.relative_to(root).as_posix()) for f in files} | {
        "README.md",
        "CONTRIBUTING.md",
        "LICENSE",
        "pyproject.toml",
    }
    assert needed <= held, sorted(needed - held)
    assert not [name for name in held if "__pycache__" in name]
