"""From what a person names (files, folders, URLs) to texts."""

import posixpath
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from router.knowledge.sources.base import Source, SourceError
from router.knowledge.sources.source_parser import SUFFIXES

BYTES_MAX = 64 * 1024 * 1024
FETCH_SECONDS = 30.0
_SUFFIX_BY_MEDIA_TYPE = {
    "text/markdown": ".md",
    "text/plain": ".txt",
    "text/csv": ".csv",
    "application/jsonl": ".jsonl",
    "application/x-ndjson": ".jsonl",
}


def find_sources(names: list[str]) -> Iterator[str]:
    """Files and URLs in a steady order; folders are searched, hidden files and others left out.

    Raises SourceError: no such file, or a file of a kind that nobody reads.
    """
    for name in names:
        if _is_url(name):
            yield name
            continue
        path = Path(name)
        if path.is_dir():
            inside = (each for each in sorted(path.rglob("*")) if each.suffix.lower() in SUFFIXES)
            yield from (
                str(each) for each in inside if each.is_file() and not _is_hidden(path, each)
            )
        elif not path.exists():
            raise SourceError(f"{name}: no such file or folder")
        elif path.suffix.lower() not in SUFFIXES:
            raise SourceError(f"{name}: only {', '.join(SUFFIXES)} can be read")
        else:
            yield name


def load_source(name: str) -> Source:
    """Read a file or fetch a page. Raises SourceError."""
    if _is_url(name):
        return _fetch(name)
    path = Path(name)
    try:
        if path.stat().st_size > BYTES_MAX:
            raise SourceError(f"{name}: larger than {BYTES_MAX // 2**20} MiB: split it")
        data = path.read_bytes()
    except OSError as error:
        raise SourceError(f"{name}: {error.strerror}") from error
    return Source(normalize_origin(name), path.suffix.lower(), _decode(name, data))


def _fetch(url: str) -> Source:
    try:
        with httpx.stream("GET", url, follow_redirects=True, timeout=FETCH_SECONDS) as reply:
            reply.raise_for_status()
            data = b""
            for piece in reply.iter_bytes():
                data += piece
                if len(data) > BYTES_MAX:
                    raise SourceError(f"{url}: larger than {BYTES_MAX // 2**20} MiB")
    except httpx.HTTPStatusError as error:
        status = error.response
        said = f"HTTP {status.status_code} {status.reason_phrase}"
        raise SourceError(f"{url}: the server answers {said}") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise SourceError(f"{url}: {error or type(error).__name__}") from error
    suffix = posixpath.splitext(urlsplit(url).path)[1].lower()
    if suffix not in SUFFIXES:
        media = reply.headers.get("content-type", "").partition(";")[0].strip()
        suffix = _SUFFIX_BY_MEDIA_TYPE.get(media, "")
        if not suffix:
            raise SourceError(
                f"{url}: the page is {media or 'of no stated type'}; what can be read is Markdown, "
                f"plain text, CSV and JSON lines ({', '.join(SUFFIXES)})"
            )
    return Source(url, suffix, _decode(url, data))


def _decode(name: str, data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{name}: byte {error.start} is not UTF-8: save the file as UTF-8, if it is text"
        ) from error
    if "\0" in text:
        raise SourceError(f"{name}: has NUL characters: is it a text file?")
    return text.replace("\r\n", "\n")


def normalize_origin(name: str) -> str:
    """The path seen from here where possible, so that a second run from here finds the same."""
    if _is_url(name):
        return name
    full = Path(name).resolve()
    here = Path.cwd().resolve()
    return (full.relative_to(here) if full.is_relative_to(here) else full).as_posix()


def _is_url(name: str) -> bool:
    return name.startswith(("http://", "https://"))


def _is_hidden(root: Path, path: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)
