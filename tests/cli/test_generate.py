"""Text as a shell sees it: train on a file, measure, look at the model, write."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import numpy as np
import pytest
from test_commands import DIGIT, ROOT, fails, run

import tinynet as tn

LINES = "Ἐν ἀρχῇ ἦν ὁ λόγος\n太初有道，道與神同在\nowls 🦉 and moons 🌙\n"
FAST = ("--device", "reference")


@pytest.fixture(scope="module")
def poem(tmp_path_factory):
    """A text in Greek, Chinese and emoji."""
    path = tmp_path_factory.mktemp("text") / "poem.txt"
    path.write_bytes(b"\xef\xbb\xbf" + (LINES * 40).replace("\n", "\r\n").encode())
    return path


@pytest.fixture(scope="module")
def model(poem):
    """What one epoch on it makes."""
    out = poem.with_name("poem.npz")
    done = run("train", poem, "--output", out, "--epochs", 1, "--units", 16, *FAST)
    assert done.returncode == 0, done.stderr
    notes = done.stderr.decode()
    assert "different: training an LSTM with" in notes
    assert "nats" in notes and "bits per character, perplexity" in notes
    assert done.stdout.decode() == f"{out}\n" and not out.with_suffix(".checkpoint.npz").exists()
    return out


# ---- train ----


def test_the_default_output_is_named_after_text_and_network(poem, tmp_path):
    done = run("train", poem, "--arch", "gru", "--epochs", 1, "--units", 4, *FAST, cwd=tmp_path)
    assert done.stdout == b"poem-gru.npz\n", done.stderr
    net = tn.load(tmp_path / "poem-gru.npz")
    assert net.vocabulary == "".join(sorted(set(LINES)))
    assert [type(layer).__name__ for layer in net.layers] == ["Embedding", "GRU", "Dropout", "Dense"]
    record = net.metadata["training"]
    assert net.metadata["task"] == "characters"
    assert record["characters"] == round(0.9 * len(LINES) * 40) and record["validation loss"] > 0


def test_training_that_a_time_limit_breaks_off_resumes_to_the_same_bits(poem, tmp_path):
    settings = ("--epochs", 2, "--units", 8, *FAST)
    whole, broken = tmp_path / "whole.npz", tmp_path / "broken.npz"
    run("train", poem, "--output", whole, *settings)
    done = run("train", poem, "--output", broken, *settings, "--time-limit", "1e-9")
    assert done.returncode == 0 and b"to continue: tinynet train " in done.stderr
    other = run("train", poem, "--output", broken, *settings, "--resume", "--random-seed", 3)
    fails(other, "belongs to another training: seed was 0, now 3; give the same data and settings")
    done = run("train", poem, "--output", broken, *settings, "--resume")
    assert done.returncode == 0, done.stderr
    for one, other in zip(tn.load(whole).get_weights(), tn.load(broken).get_weights(), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\x89PNG\0\1\2", "is a binary file"),
        (b"caf\xe9 " * 500, "is not UTF-8"),
        (b"to be or not", "is too short"),
        (b"a" * 5000, "only the character 'a'"),
    ],
)
def test_train_says_what_is_wrong_with_a_text(tmp_path, content, words):
    (tmp_path / "bad.txt").write_bytes(content)
    done = run("train", tmp_path / "bad.txt", "--output", tmp_path / "bad.npz", *FAST)
    fails(done, "bad.txt", words)
    assert done.stderr.count(b"\n") == 1


def test_train_refuses_what_does_not_fit_a_text(poem, tmp_path):
    fails(
        run("train", poem, "--arch", "cnn", "--output", tmp_path / "m.npz"),
        "--arch cnn does not fit",
        "text is a sequence",
    )
    fails(run("train", tmp_path / "nothing.txt"), "does not exist")
    few = run("train", poem, "--batch-size", 500, "--output", tmp_path / "m.npz")
    fails(few, "is too short", "500 × 100", "or a smaller batch size")
    fails(run("train", "shakespeare", TINYNET_DATA=str(tmp_path)), "tinyshakespeare.txt")


# ---- generate ----


def test_generate_prints_seed_length_characters_and_a_line_break(model):
    seed = "ὁ λόγος 🦉"
    done = run("generate", "--model", model, "--seed", seed, "--length", 50, "--random-seed", 1)
    written = done.stdout.decode("utf-8")
    assert done.returncode == 0 and done.stderr == b""
    assert written.startswith(seed) and written.endswith("\n") and len(written) == len(seed) + 50 + 1
    assert (
        done.stdout
        == run("generate", "--model", model, "--seed", seed, "--length", 50, "--random-seed", 1).stdout
    )
    assert written[:-1] == tn.load(model).generate(seed, 50, random_seed=1)
    assert run("generate", "--model", model, "--length", 0).stdout == b"\n"


def test_help_imports_nothing_slow():
    code = (
        "import sys; sys.argv = ['tinynet', 'generate', '--help']\n"
        "from tinynet.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "assert not {'numpy', 'numba', 'PIL'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True)


def test_generate_json(model):
    settings = ("--model", model, "--seed", "太", "--length", 30, "--json")
    first = json.loads(run("generate", *settings).stdout)
    assert first["seed"] == "太" and len(first["text"]) == 31
    again = run("generate", *settings, "--random-seed", first["random_seed"], PYTHONIOENCODING="ascii")
    assert json.loads(again.stdout) == first and again.stdout.count(b"\n") == 1


def test_temperature_0_is_top_k_1(model):
    settings = ("--model", model, "--seed", "o", "--length", 30)
    cold = run("generate", *settings, "--temperature", 0).stdout
    assert cold == run("generate", *settings, "--top-k", 1).stdout
    assert cold == run("generate", *settings, "--top-p", "1e-9").stdout


def test_a_terminal_without_the_characters_still_gets_its_length(model):
    settings = ("--model", model, "--seed", "太", "--length", 40, "--random-seed", 1)
    done = run("generate", *settings, PYTHONIOENCODING="latin-1")
    assert done.returncode == 0 and len(done.stdout) == 42 and done.stdout.startswith(b"?")


def test_a_seed_is_read_as_a_text_file_is(model):
    settings = ("generate", "--model", model, "--length", 0, "--seed")
    assert run(*settings, "ὁ\r\nο\rο").stdout.decode() == "ὁ\nο\nο\n"
    assert run(*settings, "-", stdin="ὁ λόγος\r\n".encode()).stdout.decode() == "ὁ λόγος\n\n"
    assert run(*settings, "-", stdin=b"").stdout == b"\n"
    fails(run(*settings, b"\xe9".decode("utf-8", "surrogateescape")), "the seed is not UTF-8: its byte 1")
    fails(run(*settings, "-", stdin=b"o\xe9"), "the seed is not UTF-8: its byte 2")


def test_ctrl_c_ends_the_line_that_is_being_written(model):
    command = [sys.executable, "-m", "tinynet", "generate", "--model", model, "--length", "100000000"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.read(100)
    process.send_signal(signal.SIGINT)
    written, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and b"Traceback" not in errors
    assert written.endswith(b"\n")


def test_a_closed_pipe_ends_quietly(model):
    command = f"{sys.executable} -m tinynet generate --model {model} --length 1000000 | head -c 20"
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, timeout=60)
    assert done.stderr == b"" and len(done.stdout) == 20


def test_generate_says_what_does_not_fit(model):
    fails(run("generate", "--model", model, "--seed", "z€"), "'z', '€'", "--skip-unknown")
    skipped = run("generate", "--model", model, "--seed", "z€o", "--length", 9, "--skip-unknown")
    assert skipped.returncode == 0 and skipped.stdout.decode().startswith("z€o")
    fails(run("generate", "--model", "nosuch"), "nosuch")
    for wrong in (("--length", "-1"), ("--temperature", "-1"), ("--top-k", "-1"), ("--top-p", "0")):
        assert run("generate", *wrong).returncode == 2
    fails(run("generate", "--length", "x"), "'x' is not a valid integer.", status=2)
    fails(run("generate", "--temperature", "x"), "'x' is not a valid number.", status=2)


# ---- evaluate, info, classify ----


def test_of_the_text_that_a_model_learnt_from_the_last_tenth_is_measured(model, poem, tmp_path):
    done = run("evaluate", model, poem, "--json")
    assert json.loads(done.stdout)["characters"] == 4 * len(LINES) - 1
    assert done.stderr.decode() == "measured on the last tenth of the text, which was not trained on\n"
    longer = tmp_path / poem.name
    longer.write_text(LINES * 50, "utf-8")
    assert json.loads(run("evaluate", model, longer, "--json").stdout)["characters"] == 5 * len(LINES) - 1


def test_evaluate_gives_nats_bits_and_perplexity(model, tmp_path):
    poem = tmp_path / "another.txt"
    poem.write_text(LINES * 40, "utf-8")
    assert run("evaluate", model, poem).stderr == b""
    shown = run("evaluate", model, poem).stdout.decode()
    assert "nats" in shown and "bits per character, perplexity" in shown
    measured = json.loads(run("evaluate", model, poem, "--json").stdout)
    assert measured["characters"] == 40 * len(LINES) - 1
    assert measured["bits_per_character"] == pytest.approx(measured["loss"] / np.log(2))
    assert measured["perplexity"] == pytest.approx(np.exp(measured["loss"]))


def test_evaluate_and_classify_refuse_the_other_kind(model, poem, tmp_path):
    fails(run("evaluate", "digits", poem), "neither reads nor writes text")
    fails(run("evaluate", model, "digits"), "does not read pictures", "is for generate")
    (tmp_path / "other.txt").write_text("xyz")
    fails(run("evaluate", model, tmp_path / "other.txt"), "'x', 'y', 'z'")


def test_a_model_of_the_other_kind_is_called_as_the_user_called_it_and_others_are_named(model, poem):
    fails(
        run("classify", DIGIT, "--model", model), f"{model} does not read pictures", "(digits, ", ", fashion)"
    )
    fails(
        run("evaluate", "fashion", poem), "tinynet: fashion neither reads nor writes text; choose shakespeare"
    )
    fails(
        run("generate", "--model", "digits"),
        "tinynet: digits neither reads nor writes text; choose shakespeare",
    )


def test_info_shows_how_many_characters(model):
    done = run("info", model)
    assert f"vocabulary: {len(set(LINES))} characters, \\n ".encode() in done.stdout
    assert run("info", model, PYTHONIOENCODING="ascii:backslashreplace").returncode == 0
