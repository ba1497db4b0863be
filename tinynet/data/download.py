"""Fetching a small file over HTTP from several mirrors: resumed, retried, checked, written whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import sys
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..files import check_folder, replacing

ATTEMPTS = 4
"""Connections to one mirror before the next is tried."""
PAUSE = 1.0
"""Seconds before the second attempt; each further pause is twice as long."""
TIMEOUT = 20.0
"""Seconds without a byte after which a connection counts as cut off."""
LARGEST = 200_000_000
"""Most bytes of a file, packed or unpacked."""
CHUNK = 1 << 16


class _Refused(Exception):
    """This mirror will not serve the file however often it is asked; the text says why."""


class _CutOff(Exception):
    """The transfer stopped or the server was busy; another attempt may continue from here."""


def unpack(packed: bytes) -> bytes:
    """Content of a gzip file. Raises ValueError, with a reason that follows a name, if it is not one or is damaged."""
    if packed[:2] != b"\x1f\x8b":
        page = packed.lstrip()[:1] == b"<"
        raise ValueError("is a web page, not the data" if page else "is not a gzip file")
    try:
        unpacker = zlib.decompressobj(wbits=31)
        content = unpacker.decompress(packed, LARGEST)
    except zlib.error:
        raise ValueError("is a damaged gzip file") from None
    if not unpacker.eof:
        raise ValueError("is a gzip file that was cut off")
    return content


def check_packed(packed: bytes, sha256: str) -> bytes:
    """Content of a gzip file whose content has this sha256. Raises ValueError as `unpack` does, or for the checksum."""
    return check_plain(unpack(packed), sha256)


def check_plain(content: bytes, sha256: str) -> bytes:
    """The content itself, if it has this sha256. Raises ValueError, with a reason that follows a name, if not."""
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError("has the wrong checksum (sha256), so it is not the file that was asked for")
    return content


def keep(
    path: Path,
    urls: Sequence[str],
    sha256: str,
    help: str,
    pause: float = PAUSE,
    check: Callable[[bytes, str], bytes] = check_packed,
) -> bytes:
    """What `check` returns for the file at path, which is fetched first if it is missing or wrong.

    Raises DataError as `fetch` does, and if the file cannot be kept.
    """
    with contextlib.suppress(OSError, ValueError):
        return check(path.read_bytes(), sha256)
    try:
        # Before the download, so that nobody waits for a file that cannot be kept.
        path.parent.mkdir(parents=True, exist_ok=True)
        check_folder(path.parent)
        content = fetch(urls, sha256, help, pause, check=check)
        with replacing(path) as file:
            file.write(content)
    except OSError as error:
        reason = error.strerror or error
        raise DataError(
            f"{path.name} from {urls[0]} cannot be stored in {path.parent} ({reason}); make room or give write "
            f"permission there, set XDG_DATA_HOME to another folder, or {help}"
        ) from None
    return check(content, sha256)


def fetch(
    urls: Sequence[str],
    sha256: str,
    help: str,
    pause: float = PAUSE,
    timeout: float = TIMEOUT,
    check: Callable[[bytes, str], bytes] = check_packed,
) -> bytes:
    """The file at the first of urls that serves it, as it is there, once `check` finds this sha256 in it.

    check: `check_packed`, the default, for a gzip file, or `check_plain`.

    Each mirror gets ATTEMPTS connections with growing pauses; a cut-off transfer is resumed with Range. A progress
    bar is drawn on stderr if that is a terminal.

    Raises DataError with the reason for every URL, followed by help, a clause that says what to do instead.
    """
    reasons = []
    for url in urls:
        try:
            content = _from_mirror(url, pause, timeout)
            check(content, sha256)
            return content
        except (_Refused, ValueError) as error:
            reasons.append(f"{url} {error}")
    raise DataError(f"the download failed: {'; '.join(reasons)}; {help}")


def _from_mirror(url: str, pause: float, timeout: float) -> bytes:
    content = bytearray()
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(pause * 2 ** (attempt - 1))
        try:
            _transfer(url, content, timeout)
            return bytes(content)
        except _CutOff as error:
            reason = error
    raise _Refused(f"{reason} ({ATTEMPTS} attempts)")


def _transfer(url: str, content: bytearray, timeout: float) -> None:
    """Append the rest of the file to content; starts over if the server does not resume."""
    request = urllib.request.Request(url, headers={"User-Agent": "tinynet"})
    if content:
        request.add_header("Range", f"bytes={len(content)}-")
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            if response.status != 206:
                content.clear()
            _read(url, response, content)
    except urllib.error.HTTPError as error:
        _explain_status(error, content)
    except urllib.error.URLError as error:
        _explain_network(error.reason)
    except (OSError, http.client.HTTPException) as error:
        raise _CutOff(f"broke off ({error or type(error).__name__})") from None


def _read(url: str, response: Any, content: bytearray) -> None:
    length = response.headers.get("Content-Length", "")
    total = len(content) + int(length) if length.isdigit() else None
    with _progress(url, total, len(content)) as bar:
        while chunk := response.read(CHUNK):
            content += chunk
            bar.update(len(chunk))
            if len(content) > LARGEST:
                raise _Refused(
                    f"sends more than {LARGEST // 10**6} MB, so it is not the file that was asked for"
                )
    if total is not None and len(content) < total:
        raise _CutOff(f"broke off after {len(content)} of {total} bytes")


def _explain_status(error: urllib.error.HTTPError, content: bytearray) -> None:
    with error:
        if error.code == 416:
            content.clear()
        answer = f"answered {error.code} {error.reason}"
    if error.code >= 500 or error.code in (408, 416, 429):
        raise _CutOff(answer)
    raise _Refused(answer)


def _explain_network(reason: object) -> None:
    if isinstance(reason, TimeoutError):
        raise _CutOff("did not answer in time")
    raise _Refused(f"cannot be reached ({getattr(reason, 'strerror', None) or reason})")


@contextlib.contextmanager
def _progress(url: str, total: int | None, done: int) -> Iterator[Any]:
    """A progress bar on stderr, or nothing if that is not a terminal."""
    import click

    if total is None or sys.stderr is None or not sys.stderr.isatty():
        yield _Silent()
        return
    with click.progressbar(
        length=total, label=f"downloading {url.rsplit('/', 1)[-1]}", file=sys.stderr
    ) as bar:
        bar.update(done)
        yield bar


class _Silent:
    def update(self, count: int) -> None:
        """Draw nothing."""
