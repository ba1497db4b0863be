"""tinynet generate: write text, character by character."""

from __future__ import annotations

import secrets
import sys

import click
from tinynet.cli.options import Number, device_options, json_option, load_model, print_json


@click.command("generate")
@click.option("--seed", default="", metavar="TEXT",
              help="What the text begins with, - reads it from stdin; without one it begins like a line.")  # fmt: skip
@click.option(
    "--length", type=click.IntRange(0), default=200, show_default=True, help="Characters to write after it."
)
@click.option("--model", "name", default="shakespeare", show_default=True,
              help="A shipped model or a .npz file.")  # fmt: skip
@click.option("--temperature", type=Number(0), default=0.8, show_default=True,
              help="0 always takes the most probable character, 1 draws as the model learnt, more is bolder.")  # fmt: skip
@click.option("--top-k", type=click.IntRange(0), default=0, show_default=True,
              help="Draw from the so many most probable characters; 0: from all.")  # fmt: skip
@click.option("--top-p", type=Number(0, 1, min_open=True), default=1.0, show_default=True,
              help="Draw from the fewest characters that together have this probability.")  # fmt: skip
@click.option(
    "--random-seed", type=click.IntRange(0), help="The same number gives the same text.  [default: any]"
)
@click.option("--skip-unknown", is_flag=True, help="Pass over characters of the seed that the model lacks.")
@json_option
@device_options
def command(seed: str, length: int, name: str, temperature: float, top_k: int, top_p: float,
            random_seed: int | None, skip_unknown: bool, as_json: bool) -> None:  # fmt: skip
    """Print a seed, LENGTH characters more as the model writes them, and a line break."""
    from tinynet.data.text import as_text
    from tinynet.generation import characters

    # Bytes of the command line that are not UTF-8 came as surrogates: as bytes again they are read as a file's are.
    given = sys.stdin.buffer.read() if seed == "-" else seed.encode("utf-8", "surrogateescape")
    seed = as_text(given, "the seed") if given else ""
    if random_seed is None:
        random_seed = secrets.randbits(32)
    written = characters(load_model(name), seed, length, temperature, top_k, top_p, random_seed, skip_unknown)
    if as_json:
        print_json({"model": name, "seed": seed, "text": seed + "".join(written), "random_seed": random_seed})
        return
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # a terminal may lack characters that the model has
    click.echo(seed, nl=False)
    try:
        for character in written:
            click.echo(character, nl=False)
    finally:
        click.echo()  # after Ctrl-C, too: the prompt begins a line of its own
