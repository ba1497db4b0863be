"""What strangers wrote, on every stream that a command may be given."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys

import numpy as np
import pytest
from test_commands import DIGIT, ROOT, fails, run

import tinynet as tn

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b8m\u202e"
TINYNET = f"{shlex.quote(sys.executable)} -m tinynet"


def shell(command, cwd, **environment):
    """Run a line of the shell, with its redirections; returns (status, stdout, stderr)."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    done = subprocess.run(["bash", "-c", command], cwd=cwd, env=environment, capture_output=True, timeout=300)
    return done.returncode, done.stdout, done.stderr


def on_a_terminal(*arguments, cwd):
    """All that a command writes to a pseudo-terminal."""
    pty = pytest.importorskip("pty")
    main, side = pty.openpty()
    command = [sys.executable, "-m", "tinynet", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    streams = {"stdin": subprocess.DEVNULL, "stdout": side, "stderr": side}
    with subprocess.Popen(command, cwd=cwd, env=environment, **streams) as process:
        os.close(side)
        written = b""
        try:
            while piece := os.read(main, 65536):
                written += piece
        except OSError:  # how Linux says that the other side is closed
            pass
    os.close(main)
    assert process.returncode in (0, 1, 2) and b"Traceback" not in written
    return written.decode("utf-8")


@pytest.fixture(scope="module")
def evil(tmp_path_factory):
    """A folder with models that hold control characters wherever a model may hold text."""
    folder = tmp_path_factory.mktemp("evil")
    labels = [EVIL, "line\nbreak"]
    net = tn.Sequential([tn.Flatten(), tn.Dense(2, activation="softmax")], (28, 28, 1), labels=labels, seed=0)
    net.metadata.update({"input": {"kind": "image"}, "about": EVIL, EVIL: EVIL, "training": {EVIL: EVIL}})
    net.save(folder / "classes.npz")
    shutil.copy(folder / "classes.npz", folder / f"{EVIL}.npz")
    shutil.copy(DIGIT, folder / "digit.png")
    layers = [tn.Embedding(3, 2), tn.RNN(2, return_sequences=True), tn.Dense(3, activation="softmax")]
    tn.Sequential(layers, (None,), vocabulary="\x1b[\x9b", seed=0).save(folder / "text.npz")
    for label in ("a", EVIL):
        (folder / EVIL / label).mkdir(parents=True)
    return folder


@pytest.mark.parametrize(
    "arguments",
    [
        ("info", "classes.npz"),
        ("info", "classes.npz", "--json"),
        ("info", f"{EVIL}.npz"),
        ("info", f"no-{EVIL}.npz"),
        ("classify", "digit.png", "--model", "classes.npz", "--top", "2"),
        ("classify", "digit.png", "--model", "classes.npz", "--json"),
        ("classify", f"{EVIL}.png"),
        ("generate", "--model", "text.npz", "--length", "200", "--temperature", "5", "--random-seed", "1"),
        ("generate", "--model", "text.npz", "--seed", EVIL),
        ("generate", EVIL),
        ("train", EVIL),
        ("evaluate", "classes.npz", EVIL),
        ("train", "digits", "--arch", EVIL),
        ("train", "digits", f"--{EVIL}"),
        (EVIL,),
    ],
    ids=lambda arguments: (
        " ".join(printable for printable in arguments[:2]).encode("unicode_escape").decode()
    ),
)
def test_no_name_label_or_argument_commands_a_terminal(evil, arguments):
    written = on_a_terminal(*arguments, cwd=evil)
    left = set(written) & set("\x1b\x07\x9b\u202e")
    assert written and not left


def test_a_text_that_is_written_to_a_file_stays_as_it_is(evil):
    settings = ("--model", "text.npz", "--length", 50, "--temperature", 5, "--random-seed", 1)
    written = run("generate", *settings, cwd=evil, PYTHONIOENCODING="utf-8").stdout.decode()
    assert set(written) == set("\x1b[\x9b\n")


# ---- streams ----


@pytest.mark.parametrize("closed", [">&-", "<&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(
    ("command", "status"),
    [("classify digit.png", 0), ("info classes.npz", 0), ("classify nosuch.png", 1), ("classfy", 2)],
)
def test_closed_streams_end_in_no_traceback(evil, command, status, closed):
    done = shell(f"{TINYNET} {command} {closed}", evil)
    assert done[0] == status and b"Traceback" not in done[2]


def test_a_file_that_is_opened_later_does_not_take_the_place_of_a_closed_stream(evil, tmp_path):
    code = "import tinynet.terminal as t; t.open_streams(); f = open('f', 'w'); print(f.fileno(), file=f)"
    assert shell(f"{shlex.quote(sys.executable)} -c {shlex.quote(code)} <&- >&- 2>&-", tmp_path)[0] == 0
    assert int((tmp_path / "f").read_text()) > 2


def test_a_closed_stdin_reads_as_an_empty_one(evil):
    for command in ("classify -", "generate --model text.npz --seed - --length 0"):
        status, _, errors = shell(f"{TINYNET} {command} <&-", evil)
        assert status in (0, 1) and b"Traceback" not in errors


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no disk that is always full")
def test_a_full_disk_is_one_sentence(evil):
    for command in ("classify digit.png", "info classes.npz --json", "generate --model text.npz --length 9"):
        status, _, errors = shell(f"{TINYNET} {command} > /dev/full", evil)
        assert status == 1 and errors.count(b"\n") == 1 and b"cannot write to stdout: No space" in errors
    assert shell(f"{TINYNET} --help > /dev/full", evil)[0] == 1
    assert shell(f"{TINYNET} classify digit.png 2> /dev/full", evil)[:2] == (
        0,
        run("classify", "digit.png", cwd=evil).stdout,
    )


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "ascii", "cp437"])
def test_streams_that_are_not_unicode_get_escapes(evil, tmp_path, encoding):
    shutil.copy(DIGIT, tmp_path / "λ3.png")
    done = run("classify", "λ3.png", cwd=tmp_path, PYTHONIOENCODING=f"{encoding}:strict")
    assert done.returncode == 0, done.stderr
    assert b": 3 (" in done.stdout
    answer = run("classify", "λ3.png", "--json", cwd=tmp_path, PYTHONIOENCODING=f"{encoding}:strict")
    assert json.loads(answer.stdout.decode("ascii"))["file"] == "λ3.png"
    fails(run("classify", "道.png", cwd=tmp_path, PYTHONIOENCODING=f"{encoding}:strict"), "\\u9053.png")
    assert run("train", "--help", PYTHONIOENCODING=f"{encoding}:strict").returncode == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only here a file name is any bytes")
def test_a_file_name_that_is_not_utf_8_is_shown_and_can_be_told_from_others(tmp_path):
    name = os.fsdecode(b"bad\xff.png")
    shutil.copy(DIGIT, tmp_path / name)
    strict = {"PYTHONIOENCODING": "utf-8:strict", "LC_ALL": "C.UTF-8"}
    done = run("classify", name, cwd=tmp_path, **strict)
    assert done.returncode == 0 and done.stdout.startswith(b"bad\\udcff.png: 3 (")
    answer = json.loads(run("classify", name, "--json", cwd=tmp_path, **strict).stdout.decode("utf-8"))
    assert os.fsencode(answer["file"]) == b"bad\xff.png"
    fails(run("classify", os.fsdecode(b"\xfe.png"), cwd=tmp_path, **strict), "\\udcfe.png")


def test_training_goes_on_where_stderr_is_gone(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.random((8, 3), dtype=np.float32), np.arange(8) % 2
    code = (
        "import sys; sys.stderr = None\n"
        "import numpy as np, tinynet as tn\n"
        "tn.set_device('reference')\n"
        "net = tn.Sequential([tn.Dense(2, activation='softmax')], (3,))\n"
        f"net.fit(np.array({x.tolist()}, 'f4'), np.array({y.tolist()}), epochs=2, verbose=True)\n"
        "net.fit(np.zeros((4, 3)), np.zeros(4, int))\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)
