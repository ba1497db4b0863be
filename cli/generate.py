"""tinynet generate: write text, character by character."""

from __future__ import annotations

import secrets
import sys

import click

from tinynet.cli import completion
from tinynet.cli.options import Count, Number, device_options, json_option, load_model
from tinynet.terminal import print_json, write


@click.command("generate", context_settings={"allow_extra_args": True})
@click.option("--seed", default="", metavar="TEXT",
              help="What the text begins with; - reads it from stdin. Without it, the text begins at a new line.")  # fmt: skip
@click.option(
    "--length", type=Count(0), default=200, show_default=True, help="Characters to write after the seed."
)
@click.option("--model", "name", default="shakespeare", show_default=True,
              shell_complete=completion.models,
              help="A shipped model or a .npz file.")  # fmt: skip
@click.option("--temperature", type=Number(0), default=0.8, show_default=True,
              help="0 always takes the most probable character, 1 samples as the model learnt, higher is more random.")  # fmt: skip
@click.option("--top-k", type=Count(0), default=0, show_default=True,
              help="Sample only from the K most probable characters; 0 means all.")  # fmt: skip
@click.option("--top-p", type=Number(0, 1, min_open=True), default=1.0, show_default=True,
              help="Sample only from the most probable characters that together reach this probability.")  # fmt: skip
@click.option("--random-seed", type=Count(0), help="The same number gives the same text.  [default: random]")
@click.option("--skip-unknown", is_flag=True, help="Ignore seed characters that the model does not know.")
@json_option
@device_options
def command(seed: str, length: int, name: str, temperature: float, top_k: int, top_p: float,
            random_seed: int | None, skip_unknown: bool, as_json: bool) -> None:  # fmt: skip
    """Print the seed and LENGTH more characters as the model writes them, then a line break."""
    from tinynet.data.text.characters import as_text
    from tinynet.tasks import expect
    from tinynet.tasks.characters import Characters

    if extra := click.get_current_context().args:
        raise click.UsageError(f"unexpected {' '.join(extra)!r}; give the text to begin with as --seed TEXT")
    # Bytes of the command line that are not UTF-8 arrive as surrogates; turned back into bytes, they are read like a file.
    given = sys.stdin.buffer.read() if seed == "-" else seed.encode("utf-8", "surrogateescape")
    seed = as_text(given, "the seed") if given else ""
    if random_seed is None:
        random_seed = secrets.randbits(32)
    task = expect(Characters, load_model(name))
    settings = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "skip_unknown": skip_unknown}
    written = task.answer(seed, length, random_seed=random_seed, **settings)
    if as_json:
        print_json({"model": name, "seed": seed, "text": seed + "".join(written), "random_seed": random_seed})
        return
    write(seed)
    try:
        for character in written:
            write(character)
    finally:
        write("\n")  # also after Ctrl-C, so that the prompt starts on a new line
