"""PDF, DOCX and HTML as Markdown, by the converter of the ``documents`` extra."""

import io
import zipfile
from pathlib import Path

from router.knowledge.sources.source import SourceError

SUFFIXES = (".pdf", ".docx", ".html", ".htm")
_PAGES = (".html", ".htm")
_RAW_PDF = "%PDF-"
PART_BYTES_MAX = 64 * 1024 * 1024
EXPANDED_BYTES_MAX = 256 * 1024 * 1024
"""Limits of a document that is an archive (DOCX), unpacked: a small file may expand a thousandfold."""


def convert_document(name: str, suffix: str, data: bytes) -> str:
    """Return the document's text as Markdown.

    Raises:
        SourceError: the converter is not installed, or cannot read the document.
    """
    try:
        from markitdown import MarkItDown, StreamInfo  # noqa: PLC0415 - an extra
    except ImportError:
        raise SourceError(
            f"{name}: {suffix} files need a converter: pip install 'sluice[documents]'"
        ) from None
    title = ""
    info = StreamInfo(extension=suffix, filename=Path(name).name)
    try:
        if suffix in _PAGES:
            title, data = _split_page(data)
        _require_bounded(data)
        result = MarkItDown(enable_plugins=False).convert_stream(io.BytesIO(data), stream_info=info)
    except Exception as error:  # converters raise what they like
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise SourceError(f"{name}: the document cannot be read: {reason}") from error
    if str(result.text_content).startswith(
        _RAW_PDF
    ):  # its reader failed, and another read it as text
        raise SourceError(f"{name}: the document cannot be read: it is damaged")
    return _with_title(title or str(result.title or ""), str(result.text_content))


def _require_bounded(data: bytes) -> None:
    """Raise ValueError if the archive expands too far. Reading a part stops at its stated size."""
    if not data.startswith(b"PK"):
        return
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        sizes = [part.file_size for part in archive.infolist()]
    if max(sizes, default=0) > PART_BYTES_MAX or sum(sizes) > EXPANDED_BYTES_MAX:
        raise ValueError(
            f"unpacked it has {sum(sizes) // 2**20} MiB; at most {EXPANDED_BYTES_MAX // 2**20} MiB, "
            f"{PART_BYTES_MAX // 2**20} MiB a part, can be read"
        )


def _split_page(data: bytes) -> tuple[str, bytes]:
    """Return the page's title, and the page without what is on every page of a site."""
    from bs4 import BeautifulSoup  # noqa: PLC0415 - comes with the converter

    page = BeautifulSoup(data, "html.parser")
    title = page.title.get_text() if page.title else ""
    for part in page.select("title, nav, footer, aside, script, style, [role=navigation]"):
        part.decompose()
    return title, page.encode("utf-8")


def _with_title(title: str, text: str) -> str:
    """Put the document's title above the text, where no heading begins it."""
    title = " ".join(title.split())
    return text if not title or text.lstrip().startswith("# ") else f"# {title}\n\n{text}"
