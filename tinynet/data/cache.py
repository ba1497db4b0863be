"""Arrays that take long to make and are always the same: made once, and kept in the user's cache folder."""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Callable, Iterable

import numpy as np

from ..archive import write_arrays
from ..files import read_file, replacing, user_folder

LARGEST = 100_000_000
"""Most bytes that are read back."""


def kept(
    name: str, inputs: Iterable[bytes], make: Callable[[], dict[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """What `make` returns, from the file `name` in the cache folder if it was made there of the same inputs.

    inputs: all that the arrays follow from, code included. The file begins with a SHA-256 of them and of its own content: whatever
    has another one, because it is older or damaged, is made anew. Where nothing can be written, or an input not be read, as code that is
    packed, nothing is kept.
    """
    folder, digest = user_folder("cache"), hashlib.sha256()
    try:
        for part in inputs:
            digest.update(hashlib.sha256(part).digest())
    except OSError:
        folder = None

    def seal(content: bytes) -> bytes:
        sealed = digest.copy()
        sealed.update(content)
        return sealed.digest()

    if folder is None:
        return make()
    with contextlib.suppress(OSError):
        found = read_file(folder / name, LARGEST)
        start, content = found[: digest.digest_size], found[digest.digest_size :]
        if start == seal(content):
            with np.load(io.BytesIO(content)) as arrays:
                return dict(arrays)
    made = make()
    with io.BytesIO() as packed:
        write_arrays(packed, made)
        content = packed.getvalue()
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / name, durable=False) as file:
            file.write(seal(content) + content)
    return made
