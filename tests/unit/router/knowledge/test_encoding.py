"""A file's encoding is found, and the person hears of one that was guessed."""

from pathlib import Path

import pytest

from router.knowledge.sources import ReadOptions, SourceError, load_source


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("id;Größe\n1;süß\n", "latin-1"),
        ("José,Peña\n", "cp1252"),
        ("id;Größe\n1;süß\n", "utf-16"),
        ("id;Größe\n1;süß\n", "utf-16-le"),
        ("id;name\n1;alpha\n", "utf-16-be"),
        ("id;Größe\n1;süß\n", "utf-8-sig"),
        ("Привет мир, это таблица\n" * 3, "cp1251"),
    ],
)
@pytest.mark.parametrize("suffix", [".csv", ".md"])
def test_a_text_is_read_in_its_encoding(
    tmp_path: Path, text: str, encoding: str, suffix: str
) -> None:
    path = tmp_path / f"file{suffix}"
    path.write_bytes(text.encode(encoding))
    source = load_source(str(path))
    assert source.read_text() == text
    assert bool(source.notes) == (not encoding.startswith("utf-8"))


def test_a_named_encoding_is_used_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_bytes("żółw".encode("cp1250"))
    assert load_source(str(path), ReadOptions(encoding="cp1250")).read_text() == "żółw"
    with pytest.raises(SourceError, match="no such encoding"):
        load_source(str(path), ReadOptions(encoding="klingon"))
