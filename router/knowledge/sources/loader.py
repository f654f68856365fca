"""Sources from what a person names: files, folders and web addresses."""

import posixpath
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx

from router.knowledge.sources import documents
from router.knowledge.sources.encoding import detect_encoding
from router.knowledge.sources.parser import SUFFIXES as TEXT_SUFFIXES
from router.knowledge.sources.source import ReadOptions, Source, SourceError

SUFFIXES = (*TEXT_SUFFIXES, *documents.SUFFIXES)
WHOLE_BYTES_MAX = 64 * 1024 * 1024
"""Largest page, Markdown or text: these are read whole. Tables and JSON lines have no limit."""
FETCH_SECONDS = 30.0
REDIRECTS_MAX = 5
READ_BYTES = 1 << 20
_STREAMED = frozenset({".csv", ".tsv", ".jsonl", ".ndjson", ".json"})
_SUFFIX_BY_MEDIA_TYPE = {
    "text/markdown": ".md",
    "text/plain": ".txt",
    "text/csv": ".csv",
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "application/pdf": ".pdf",
    "application/json": ".json",
    "application/jsonl": ".jsonl",
    "application/x-ndjson": ".jsonl",
}
_HINTS = {
    ".mdx": ": rename it to .md",
    ".xlsx": ": save it as CSV",
    **dict.fromkeys((".gz", ".zip", ".bz2", ".xz", ".zst", ".tar"), ": unpack it first"),
}


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """A file of a folder that is not read, and the reason."""

    name: str
    reason: str


def find_sources(names: list[str]) -> Iterator[str | SkippedFile]:
    """Yield files and URLs in a steady order. Hidden files of a folder are left out.

    A link that leads out of its folder is not followed.

    Raises:
        SourceError: no such file, or a format that has no parser.
    """
    for name in names:
        path = Path(name)
        if is_url(name):
            yield name
        elif path.is_dir():
            yield from _find_in_folder(path)
        elif not path.exists():
            raise SourceError(f"{name}: no such file or folder")
        elif path.suffix.lower() not in SUFFIXES:
            hint = _HINTS.get(path.suffix.lower(), "")
            raise SourceError(f"{name}: only {', '.join(SUFFIXES)} can be read{hint}")
        else:
            yield name


def count_unread(names: list[str]) -> dict[str, int]:
    """Return the files of the named folders whose format has no parser, counted by suffix."""
    folders = [Path(name) for name in names if not is_url(name) and Path(name).is_dir()]
    suffixes = Counter(path.suffix.lower() for folder in folders for path in _visible_files(folder))
    return {suffix: count for suffix, count in suffixes.items() if suffix not in SUFFIXES}


def _visible_files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and path.is_file():
            yield path


def _find_in_folder(folder: Path) -> Iterator[str | SkippedFile]:
    inside = folder.resolve()
    for path in _visible_files(folder):
        if path.suffix.lower() not in SUFFIXES:
            continue
        if path.resolve().is_relative_to(inside):
            yield str(path)
        else:
            yield SkippedFile(str(path), "a link out of the folder is not followed")


def load_source(name: str, options: ReadOptions | None = None) -> Source:
    """Read a file or fetch a page.

    Raises:
        SourceError: it cannot be read; the message names the fix.
    """
    options = options or ReadOptions()
    if is_url(name):
        suffix, data = _fetch(name)
        return _from_bytes(name, name, suffix, data, options)
    path = Path(name)
    suffix = path.suffix.lower()
    try:
        if suffix in _STREAMED:
            return _open_file(name, path, options)
        if path.stat().st_size > WHOLE_BYTES_MAX:
            raise SourceError(f"{name}: larger than {WHOLE_BYTES_MAX // 2**20} MiB: split it")
        return _from_bytes(name, normalize_origin(name), suffix, path.read_bytes(), options)
    except OSError as error:
        raise SourceError(f"{name}: {error.strerror}") from error


def _open_file(name: str, path: Path, options: ReadOptions) -> Source:
    encoding, notes = _choose_encoding(name, _chunks(path), options)
    return Source(normalize_origin(name), path.suffix.lower(), path, encoding, notes)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(READ_BYTES):
            yield chunk


def _from_bytes(name: str, origin: str, suffix: str, data: bytes, options: ReadOptions) -> Source:
    if suffix in documents.SUFFIXES:
        return Source(origin, ".md", documents.convert_document(name, suffix, data))
    encoding, notes = _choose_encoding(name, iter((data,)), options)
    return Source(origin, suffix, data.decode(encoding, errors="replace"), notes=notes)


def _choose_encoding(
    name: str, chunks: Iterator[bytes], options: ReadOptions
) -> tuple[str, tuple[str, ...]]:
    if options.encoding:
        try:
            "".encode(options.encoding)
        except LookupError:
            raise SourceError(f"--encoding {options.encoding}: no such encoding") from None
        return options.encoding, ()
    encoding = detect_encoding(chunks)
    if encoding is None:
        raise SourceError(f"{name}: not a text; say --encoding if it is one")
    plain = encoding in ("utf-8", "utf-8-sig")
    return encoding, () if plain else (f"read as {encoding}; --encoding names another",)


def _fetch(url: str) -> tuple[str, bytes]:
    """Return the page's suffix and bytes. Redirects stay on the host."""
    address = url
    try:
        with httpx.Client(timeout=FETCH_SECONDS) as client:
            for _ in range(REDIRECTS_MAX + 1):
                with client.stream("GET", address) as reply:
                    if reply.has_redirect_location:
                        address = _redirect_target(url, address, reply.headers["location"])
                        continue
                    reply.raise_for_status()
                    return _page_suffix(url, reply), _read_page(url, reply)
    except httpx.HTTPStatusError as error:
        status = error.response
        answer = f"HTTP {status.status_code} {status.reason_phrase}"
        raise SourceError(f"{url}: the server answers {answer}") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise SourceError(f"{url}: {error or type(error).__name__}") from error
    raise SourceError(f"{url}: more than {REDIRECTS_MAX} redirects")


def _redirect_target(url: str, address: str, location: str) -> str:
    target = urljoin(address, location)
    if urlsplit(target).netloc != urlsplit(url).netloc or not is_url(target):
        raise SourceError(f"{url}: redirects to {target}, another host: name that address instead")
    return target


def _read_page(url: str, reply: httpx.Response) -> bytes:
    data = bytearray()
    for piece in reply.iter_bytes():
        data += piece
        if len(data) > WHOLE_BYTES_MAX:
            raise SourceError(f"{url}: larger than {WHOLE_BYTES_MAX // 2**20} MiB")
    return bytes(data)


def _page_suffix(url: str, reply: httpx.Response) -> str:
    suffix = posixpath.splitext(urlsplit(url).path)[1].lower()
    if suffix in SUFFIXES:
        return suffix
    media = reply.headers.get("content-type", "").partition(";")[0].strip()
    if media not in _SUFFIX_BY_MEDIA_TYPE:
        raise SourceError(
            f"{url}: the page is {media or 'of no stated type'}; "
            f"what can be read is {', '.join(SUFFIXES)}"
        )
    return _SUFFIX_BY_MEDIA_TYPE[media]


def normalize_origin(name: str) -> str:
    """Return the path as seen from here where possible: a second run from here finds the same."""
    if is_url(name):
        return name
    full = Path(name).resolve()
    working_directory = Path.cwd().resolve()
    return (
        full.relative_to(working_directory) if full.is_relative_to(working_directory) else full
    ).as_posix()


def is_url(name: str) -> bool:
    """Return True for a web address."""
    return name.startswith(("http://", "https://"))
