"""PDF, DOCX and HTML as Markdown, by the converter of the ``documents`` extra."""

import io
from pathlib import Path

from router.knowledge.sources.source import SourceError

SUFFIXES = (".pdf", ".docx", ".html", ".htm")


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
    info = StreamInfo(extension=suffix, filename=Path(name).name)
    try:
        result = MarkItDown(enable_plugins=False).convert_stream(io.BytesIO(data), stream_info=info)
    except Exception as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise SourceError(f"{name}: the document cannot be read: {reason}") from error
    return str(result.text_content)
