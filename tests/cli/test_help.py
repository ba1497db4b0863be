"""What the command line offers: names that were meant, completion, what doctor finds."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest
from click.shell_completion import ShellComplete
from test_commands import DIGIT, ROOT, fails, run

from tinynet.cli import group
from tinynet.data.datasets import SOURCES
from tinynet.data.names import ALIASES, DATASETS
from tinynet.errors import did_you_mean
from tinynet.recipes import DATA
from tinynet.recipes.pictures import BATCH_SIZE
from tinynet.sequential import load

# ---- what was meant ----


def test_a_misspelt_word_is_answered_with_the_one_that_was_meant(tmp_path):
    (tmp_path / "shapes-cnn.npz").touch()
    (tmp_path / "poem.text").write_text("to be")
    for arguments, words, status in (
        (["classfy"], "no command 'classfy'; did you mean classify?", 2),
        (["paint"], "no command 'paint'; tinynet --help lists the commands", 2),
        (["digit.png"], "tinynet classify digit.png", 2),
        (["shapes-cnn.npz"], "tinynet info shapes-cnn.npz", 2),
        (["generate", "ROMEO:"], "unexpected 'ROMEO:'; give the text to begin with as --seed TEXT", 2),
        (["train", "digits", "--arch", "ltsm"], "did you mean lstm?", 2),
        (["classify", DIGIT, "--device", "gpu"], "'gpu' is not one of 'auto', 'reference', 'cpu'", 2),
        (["classify", DIGIT, "--model", "digit"], "no model 'digit'; did you mean digits? Give a shipped", 1),
        (["info", "shapes-cnn"], "no model 'shapes-cnn'; did you mean the file shapes-cnn.npz?", 1),
        (["train", ""], "'' does not exist; DATA is digits", 1),
        (["train", "Digit"], "Digit does not exist; did you mean digits? DATA is digits", 1),
        (["evaluate", "digits", "fashon"], "fashon does not exist; did you mean fashion?", 1),
        (["train", "poem.text"], "text ends in .txt and a table in .csv or .tsv: rename it", 1),
    ):
        fails(run(*arguments, cwd=tmp_path), words, status=status)


def test_suggestions_are_few_and_know_no_case():
    assert did_you_mean("DIGITS", ["digits", "digits-rnn"]) == "did you mean digits?"
    assert did_you_mean("photographs", ["digits", "fashion"]) == ""


def test_other_names_of_data_sets_mean_the_data_sets(tmp_path):
    for name, meant in ALIASES.items():
        assert meant in SOURCES
        fails(run("train", name, TINYNET_DATA=str(tmp_path)), SOURCES[meant].file)
    (tmp_path / "mnist").mkdir()
    done = run("train", "mnist", cwd=tmp_path, TINYNET_DATA=str(tmp_path))
    assert (
        b"note: mnist means the data set digits; for the folder of that name here, type ./mnist\n"
        in done.stderr
    )
    fails(run("train", "./mnist", cwd=tmp_path), "no folders")


# ---- completion ----


def completions(*words):
    """What is offered for the last of the words."""
    found = ShellComplete(group, {}, "tinynet", "_TINYNET_COMPLETE").get_completions([*words[:-1]], words[-1])
    return [item.value if item.type == "plain" else item.type for item in found]


@pytest.fixture
def things(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("mine.npz", "poem.txt", "notes.md", ".hidden.npz", "odd\n.npz"):
        (tmp_path / name).touch()
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "b.npz").touch()


def test_names_and_files_of_the_right_kind_are_completed(things):
    assert "digits-gru" in completions("info", "") and "mine.npz" in completions("info", "")
    assert not {"poem.txt", ".hidden.npz", "odd\n.npz"} & {*completions("info", "")}
    assert completions("evaluate", "digits-l") == ["digits-lstm"]
    assert completions("classify", "--model", "fa") == ["fashion"]
    assert completions("generate", "--model", "mi") == ["mine.npz"]
    assert completions("info", os.path.join("photos", "")) == [os.path.join("photos", "b.npz")]
    assert completions("train", "") == [*DATASETS, f"photos{os.sep}", "poem.txt"]
    assert completions("evaluate", "digits", "po") == ["poem.txt"]
    assert completions("train", "digits", "--arch", "l") == ["lstm"]
    assert completions("classify", "--device", "") == ["auto", "reference", "cpu", "cuda"]
    assert completions("cl") == ["classify"]
    # The shell itself knows the rest.
    assert (
        completions("classify", "")
        == completions("info", "/nosuch/x")
        == completions("train", "x")
        == ["file"]
    )


def test_the_names_that_are_completed_are_those_of_the_recipes():
    assert tuple(SOURCES) == DATASETS and DATA.startswith(", ".join(DATASETS))


def test_completion_imports_nothing_slow():
    code = (
        "import os, sys\n"
        "os.environ.update(_TINYNET_COMPLETE='bash_complete', COMP_WORDS='tinynet info dig', COMP_CWORD='2')\n"
        "from tinynet.cli import main\n"
        "try: main([])\n"
        "except SystemExit: pass\n"
        "assert not {'numpy', 'numba', 'PIL'} & sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True, text=True)
    assert "plain,digits\n" in done.stdout


# ---- doctor ----


def test_the_training_that_doctor_weighs_is_that_of_digits():
    from tinynet.cli import doctor

    assert load("digits").flops() == doctor.DIGITS_FLOPS
    assert doctor.DIGITS_STEPS == -(-60_000 // BATCH_SIZE)


def test_doctor_names_the_processor_its_vectors_and_the_data_sets(tmp_path):
    (tmp_path / "mnist.npz").touch()
    facts = json.loads(run("doctor", "--json", TINYNET_DATA=str(tmp_path)).stdout)
    assert facts["processor"] and facts["data folder"] == f"{tmp_path}, set by TINYNET_DATA"
    assert facts["digits"] == "there" and facts["fashion"].startswith("missing: put fashion_mnist.npz into")
    assert facts["one picture"].startswith("reference (NumPy), since ")
    elsewhere = {"TINYNET_DATA": "", "XDG_DATA_HOME": str(tmp_path)}
    facts = json.loads(run("doctor", "--json", **elsewhere).stdout)
    assert facts["data folder"] == f"{tmp_path / 'tinynet'}, since TINYNET_DATA is not set"
    assert facts["shakespeare"].startswith("not downloaded yet")


@pytest.mark.parametrize(("flops", "chosen"), [(67e12, "cuda"), (0.1e12, "cpu")])
def test_doctor_says_whether_a_gpu_would_be_used(flops, chosen):
    pytest.importorskip("numba")
    code = (
        "from types import SimpleNamespace as Gpu\n"
        "from tinynet import cli\n"
        "from tinynet.kernels import device\n"
        "device._nvidia_driver, device.cuda_problem = lambda: True, lambda: None\n"
        f"device._gpu = lambda: Gpu(name='NVIDIA Test', flops={flops})\n"
        "cli.main(['doctor', '--json', '--threads', '1'])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    times = r"since it takes about \d+ \w+ on the GPU NVIDIA Test, about \d+ \w+ on the processor"
    assert re.fullmatch(rf"{chosen} \(Numba\), {times}", json.loads(done.stdout)["train digits"])


@pytest.mark.parametrize(
    "environment",
    [
        {"TINYNET_LANES": "3"},
        {"TINYNET_LANES": "many"},
        {"NUMBA_THREADING_LAYER": "nonsense"},
        {"HOME": "/dev/null", "XDG_CACHE_HOME": ""},
        {"HOME": ""},
        {"TMPDIR": "/dev/null"},
        {"NUMBA_DISABLE_JIT": "1"},
        {"TINYNET_DATA": "\x1b[2J"},
    ],
    ids=lambda environment: next(iter(environment)),
)
def test_doctor_answers_in_an_odd_environment(environment):
    done = run("doctor", **environment)
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr and b"\x1b" not in done.stdout and b"numpy" in done.stdout


def test_models_lists_the_others_beside_one_that_is_damaged(tmp_path):
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from tinynet import cli, storage\n"
        "shipped = storage.shipped_models()\n"
        f"storage.shipped_models = lambda: {{'broken': Path({str(tmp_path / 'broken.npz')!r}), **shipped}}\n"
        "cli.main(['models'])"
    )
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 no model")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True)
    fails(done, "broken.npz")
    assert b"digits-gru" in done.stdout
