"""The commands as a shell sees them: stdout, stderr, exit status."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tinynet as tn
from tinynet.cli import VERBS

ROOT = Path(__file__).parent.parent.parent
DIGIT = ROOT / "tests" / "pictures" / "digit.png"


def run(*arguments, cwd=None, stdin=None, **environment):
    """Run `tinynet …` in a new process."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    command = [sys.executable, "-m", "tinynet", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, input=stdin, capture_output=True, timeout=300)


def fails(done, *words, status=1):
    """It failed with one sentence, no traceback, that holds the words."""
    message = done.stderr.decode()
    assert done.returncode == status, message
    assert "Traceback" not in message
    for word in words:
        assert word in message


@pytest.fixture
def blank(tmp_path):
    """A white page."""
    path = tmp_path / "blank.png"
    Image.new("L", (200, 200), 250).save(path)
    return path


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Two classes of small pictures: horizontal and vertical bars."""
    path, rng = tmp_path_factory.mktemp("bars"), np.random.default_rng(0)
    for label in ("across", "down"):
        (path / label).mkdir()
        for index in range(12):
            picture = rng.integers(0, 40, (16, 16)).astype(np.uint8)
            at = rng.integers(2, 14)
            picture[(at, slice(None)) if label == "across" else (slice(None), at)] = 255
            Image.fromarray(picture).save(path / label / f"{index}.png")
    return path


# ---- the face of every command ----


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb):
    done = run(verb, "--help")
    assert done.returncode == 0, done.stderr
    for option in ("--device", "--threads"):
        assert option in done.stdout.decode(), f"decorate cli/{verb}.py with device_options"


def test_help_imports_nothing_slow():
    code = (
        "import sys; sys.argv = ['tinynet', '--help']\n"
        "from tinynet.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "assert not {'numpy', 'numba', 'PIL'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True)


def test_version_and_usage():
    assert run("--version").stdout.decode().strip().endswith(tn.__version__)
    assert run("classify").returncode == 2
    assert run("paint").returncode == 2
    assert run("classify", DIGIT, "--top", "0").returncode == 2
    assert run("classify", DIGIT, "--device", "abacus").returncode == 2


def test_closed_pipe_ends_quietly():
    command = f"{sys.executable} -m tinynet classify {' '.join([str(DIGIT)] * 50)} | head -n 1"
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, timeout=120)
    assert done.stderr == b"" and done.stdout.count(b"\n") == 1


def test_ctrl_c_while_the_command_line_is_imported_is_no_traceback(tmp_path):
    (tmp_path / "click.py").write_text("raise KeyboardInterrupt")
    done = run("models", PYTHONPATH=os.pathsep.join(map(str, (tmp_path, ROOT))))
    assert (done.returncode, done.stderr) == (130, b"")


# ---- classify ----


def test_classify_prints_one_line_a_file(blank):
    done = run("classify", DIGIT, blank)
    lines = done.stdout.decode().splitlines()
    assert done.returncode == 0
    assert lines[0].startswith(f"{DIGIT}: 3 (") and lines[1] == f"{blank}: no digit found"


def test_classify_json(blank):
    done = run("classify", DIGIT, blank, "--json", "--top", "2")
    first, second = map(json.loads, done.stdout.splitlines())
    assert first["label"] == "3" and len(first["top"]) == 2 and first["probability"] > 0.5
    assert second == {"file": str(blank), "label": None, "probability": None, "top": [], "count": 0}


@pytest.fixture
def two_lines(tmp_path):
    """A picture of four digits, 3 3 over 3 3, the second of the upper line the largest."""
    digit = 255 - np.asarray(Image.open(DIGIT).convert("L").resize((120, 120)), np.int32)
    page = np.zeros((330, 330), np.int32)
    for top, left in ((5, 5), (10, 180), (190, 15), (185, 190)):
        page[top : top + 120, left : left + 120] += digit
    path = tmp_path / "page.png"
    Image.fromarray(np.uint8(255 - page)).save(path)
    return path


def test_classify_all_reads_every_digit_in_order(two_lines, blank):
    done = run("classify", "--all", two_lines, blank)
    first, second = done.stdout.decode().splitlines()
    assert first.removeprefix(f"{two_lines}: ").count("3 (") == 4 and done.stderr == b""
    assert second == f"{blank}: no digit found"


def test_classify_all_json_has_a_box_for_each_digit(two_lines, blank):
    first, second = map(json.loads, run("classify", "--all", "--json", two_lines, blank).stdout.splitlines())
    assert first["count"] == 4 and first["label"] == "3"
    assert [digit["label"] for digit in first["digits"]] == ["3"] * 4
    corners = [digit["box"][:2] for digit in first["digits"]]
    places = [[left // 165, top // 165] for left, top in corners]
    assert places == [[0, 0], [1, 0], [0, 1], [1, 1]]
    assert second["count"] == 0 and second["digits"] == []


def test_several_digits_are_said_and_how_to_read_them(two_lines):
    done = run("classify", two_lines, "--json")
    assert json.loads(done.stdout)["count"] == 4
    assert (
        done.stderr.decode()
        == f"{two_lines}: 4 digits found; reading the largest; --all reads each of them\n"
    )


def test_classify_all_is_of_digits(two_lines):
    done = run("classify", "--all", "--model", "fashion", two_lines)
    assert done.returncode == 2 and b"leave it out" in done.stderr


def test_classify_reads_stdin_and_shows_what_the_network_sees():
    done = run("classify", "-", "--show", stdin=DIGIT.read_bytes())
    assert done.stdout.startswith(b"-: 3 (")
    assert len(done.stderr.decode().splitlines()) == 28


def test_classify_answers_the_other_files_when_one_is_bad(tmp_path):
    (tmp_path / "text.png").write_text("this is no picture")
    done = run("classify", DIGIT, tmp_path / "text.png", tmp_path / "missing.png", DIGIT)
    assert done.returncode == 1
    assert done.stdout.count(b": 3 (") == 2
    assert len(done.stderr.decode().splitlines()) == 2


def test_several_models_vote():
    done = run("classify", DIGIT, "--model", "digits", "--model", "digits", "--json")
    alone = run("classify", DIGIT, "--json")
    assert json.loads(done.stdout) == json.loads(alone.stdout)


def test_several_models_are_measured_as_an_ensemble(folder, tmp_path):
    made = [tmp_path / f"{seed}.npz" for seed in (1, 2)]
    for seed, out in enumerate(made, 1):
        layers = [tn.Flatten(), tn.Dense(2, "softmax")]
        net = tn.Sequential(layers, (16, 16, 1), seed=seed, labels=["across", "down"])
        net.metadata["input"] = {"kind": "image"}
        net.save(out)
    one, other, both = (
        json.loads(run("evaluate", names, folder, "--json").stdout)
        for names in (*made, f"{made[0]},{made[1]}")
    )
    assert both["samples"] == 24 and both["loss"] < (one["loss"] + other["loss"]) / 2
    same = json.loads(run("evaluate", f"{made[0]},{made[0]}", folder, "--json").stdout)
    assert same["confusion"] == one["confusion"] and abs(same["loss"] - one["loss"]) < 1e-5
    fails(run("evaluate", f"{made[0]},digits", folder), "have different classes", status=2)
    fails(run("classify", DIGIT, "--model", "digits", "--model", "fashion"), "cannot be averaged", status=2)
    fails(
        run("evaluate", "shakespeare,shakespeare-gru", "shakespeare"),
        "not for writing text; give one",
        status=2,
    )


def test_classify_on_both_back_ends_agrees():
    answers = [
        json.loads(run("classify", DIGIT, "--json", "--device", d).stdout) for d in ("reference", "cpu")
    ]
    assert answers[0]["label"] == answers[1]["label"]
    assert abs(answers[0]["probability"] - answers[1]["probability"]) < 1e-4


def test_one_picture_is_classified_without_numba():
    code = f"import sys; from tinynet import load; load('digits').classify({str(DIGIT)!r}); assert 'numba' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_two_digits_are_never_one_silent_guess(tmp_path):
    picture = Image.open(DIGIT).convert("RGB")
    both = Image.new("RGB", (2 * picture.width, picture.height))
    both.paste(picture, (0, 0))
    both.paste(picture, (picture.width, 0))
    both.save(tmp_path / "two.png")
    assert b"2 digits" in run("classify", tmp_path / "two.png").stderr


@pytest.mark.parametrize("name", ["nosuch", "nosuch.npz", "."])
def test_classify_with_a_model_that_is_not_there(name):
    fails(run("classify", DIGIT, "--model", name), name)


# ---- train, evaluate, info ----


def test_a_folder_becomes_a_model_that_classifies(folder, tmp_path):
    out = tmp_path / "bars.npz"
    done = run("train", folder, "-o", out, "--epochs", 12, "--no-augment", "--history", tmp_path / "h.csv")
    assert done.returncode == 0, done.stderr
    assert out.exists() and not out.with_suffix(".checkpoint.npz").exists()
    assert (tmp_path / "h.csv").read_text().startswith("epoch,")
    answer = run("classify", folder / "across" / "0.png", "--model", out, "--json")
    assert json.loads(answer.stdout)["label"] == "across"
    measured_run = run("evaluate", out, folder, "--json", "--save-errors", tmp_path / "e.png")
    measured = json.loads(measured_run.stdout)
    assert measured["accuracy"] > 0.9 and measured["samples"] == 24
    misread = 24 - sum(row[index] for index, row in enumerate(measured["confusion"]))
    width, height = Image.open(tmp_path / "e.png").size
    assert (b"e.png: empty, no picture was misread" in measured_run.stderr) == (misread == 0)
    assert width >= max(misread, 1) * (84 + 8) and height >= 84 + 8 + (
        12 if misread else 0
    )  # a tile and a caption each
    fails(run("evaluate", out, folder, "--save-errors", tmp_path / "none" / "e.png"), "create it first")
    fails(run("evaluate", out, folder, "--save-errors", "e.jpg"), "this picture must end in .png", status=2)
    (tmp_path / "e.png").write_text("mine")
    again = "evaluate", out, folder, "--save-errors", tmp_path / "e.png"
    fails(run(*again), "e.png exists already: --force replaces it, --save-errors writes elsewhere")
    assert (tmp_path / "e.png").read_text() == "mine"
    assert run(*again, "--force").returncode == 0 and Image.open(tmp_path / "e.png").format == "PNG"
    done = run("evaluate", out, folder)
    assert b"accuracy" in done.stdout
    assert done.stderr == b"note: it was trained on some of these pictures, so this is too optimistic\n"
    facts = json.loads(run("info", out, "--json").stdout)
    assert facts["labels"] == ["across", "down"] and facts["metadata"]["task"] == "pictures"


def test_training_ends_after_ctrl_c_and_resumes(folder, tmp_path):
    out = tmp_path / "bars.npz"
    command = [
        sys.executable,
        "-m",
        "tinynet",
        "train",
        str(folder),
        "--output",
        str(out),
        "--epochs",
        "2000",
        "--no-augment",
    ]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    for line in process.stderr:
        if line.startswith("epoch 2/"):
            break
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert out.exists() and "Traceback" not in errors
    line = f"to continue: tinynet train {folder} --output {out} --epochs 2000 --no-augment --resume"
    assert line in errors.splitlines()
    fails(run("train", folder, "--output", out, "--epochs", 2000), "exists already: --resume continues it")
    again = run(
        "train",
        folder,
        "--output",
        out,
        "--epochs",
        2000,
        "--no-augment",
        "--resume",
        "--time-limit",
        1,
    )
    assert again.returncode == 0, again.stderr
    assert b"epoch 1/" not in again.stderr


def test_resume_without_a_checkpoint_asks_for_the_output_of_the_interrupted_training(folder, tmp_path):
    out = tmp_path / "e6.npz"
    out.touch()
    asked = f"there is no checkpoint {out.with_suffix('.checkpoint.npz')}: give --resume the --output of the interrupted"
    fails(run("train", folder, "--output", out, "--resume"), asked, "or start without --resume")
    fails(run("train", folder, "--resume", cwd=tmp_path), "no checkpoint", "-resnet.checkpoint.npz")


def test_output_is_checked_before_training(folder, tmp_path):
    start = time.perf_counter()
    fails(run("train", folder, "--output", tmp_path / "nosuch" / "m.npz"), "nosuch")
    assert time.perf_counter() - start < 20


def test_options_that_do_not_apply_are_wrong_usage(folder, tmp_path):
    (tmp_path / "poem.txt").write_text("To be or not to be. " * 20)
    fails(run("train", folder, "--output", "m.h5"), "m.h5: a model's file name must end in .npz", status=2)
    fails(run("train", folder, "--history", "h.txt"), "must end in .csv or .png", status=2)
    fails(run("train", folder, "--arch", "perceptron"), "'auto', 'cnn', 'lstm', 'gru', 'rnn'", status=2)
    fails(
        run("train", tmp_path / "poem.txt", "--no-augment"),
        "for pictures, sounds and clips, but DATA is text",
        status=2,
    )
    refused = "--units is the size of a recurrent layer, which a residual network does not have; leave it out"
    fails(run("train", folder, "--units", 3), refused, status=2)
    fails(run("train", folder, "--learning-rate", "inf"), "not a finite number", status=2)
    fails(
        run("evaluate", "shakespeare", tmp_path / "poem.txt", "--save-errors", "e.png"),
        "does not read pictures",
        status=2,
    )
    fails(run("generate", "--temperature", "nan"), "'nan' is not a finite number", status=2)


def test_train_and_evaluate_say_what_is_wrong_with_the_data(tmp_path, folder):
    fails(run("train", tmp_path / "nothing"), "does not exist")
    fails(run("train", DIGIT), "is one sample", "give a folder")
    fails(run("train", tmp_path), "no folders")
    fails(
        run("train", folder, "--arch", "lstm", "--output", tmp_path / "m.npz"),
        "--arch lstm does not fit this data; choose auto, resnet, cnn, vgg, inception or mobilenet, since pictures are grids",
    )
    fails(run("evaluate", "digits", folder), "across")
    fails(run("train", "digits", TINYNET_DATA=str(tmp_path)), "mnist.npz")


def test_models_come_in_the_order_of_their_names_each_text_below_the_other():
    header, *lines = run("models").stdout.decode().splitlines()
    names = [line.split()[0] for line in lines]
    assert names == sorted(names) and names[:2] == ["digits", "digits-gru"]
    start = header.index("what")
    assert all(line[start - 2 : start].isspace() and line[start].isalpha() for line in lines)


def test_models_doctor_and_info_answer():
    names = [json.loads(line)["name"] for line in run("models", "--json").stdout.splitlines()]
    assert {"digits", "fashion"} <= set(names)
    assert b"digits" in run("models").stdout
    assert "tinynet" in json.loads(run("doctor", "--json").stdout)
    assert b"numpy" in run("doctor").stdout
    assert b"225,034 parameters" in run("info", "digits").stdout
    assert run("info", "nosuch").returncode == 1
