"""The English rules of CONTRIBUTING.md, as a check of files. Ruff checks the imperative mood (D401).

``python -m tests.english [PATH …]`` prints each breach as ``file:line: problem``.
"""

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.source_tree import ROOT, source_nodes

FIRST_WORDS = ["What", "Who", "Whom", "Whose", "Whether", "Which", "Where", "How", "Why"]
BANNED = re.compile(
    r"(?<![A-Za-z])(?:(?i:told|tells|anew|afresh|whoever|stands|borne|reckon\w*|for\s+ever)"
    r"|(?:[Ii]s|[Aa]re)\s+no(?!\s+longer)|is\s+none)(?![A-Za-z])"
)
FOLDERS = [
    ".ci",
    ".github",
    "activities",
    "benchmarks",
    "docs",
    "examples",
    "ops",
    "plans",
    "router",
    "sluice",
    "tests",
    "workflows",
]
SUFFIXES = {".md", ".py", ".sh", ".toml", ".yaml", ".yml"}
NAMES = {"Dockerfile", "Makefile", "bootstrap", "run"}
DATA = "sluice/demo/company/handbook/"
"""The handbook that the demo's questions are about, in its own authors' words."""
QUOTED = {
    "CONTRIBUTING.md",  # lists the banned words
    "docs/guide.md",  # the guide, word for word
    "tests/english.py",
    "uv.lock",
}


def checked_files() -> list[Path]:
    """Return the files of the repository that hold sentences of ours."""
    folders = [ROOT / name for name in FOLDERS]
    paths = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    paths += [path for path in ROOT.iterdir() if path.is_file()]
    return sorted(path for path in paths if _is_checked(path))


def _is_checked(path: Path) -> bool:
    name = str(path.relative_to(ROOT))
    if name in QUOTED or name.startswith(DATA):
        return False
    return path.suffix in SUFFIXES or path.name in NAMES


def problems(paths: Iterable[Path], root: Path = ROOT) -> Iterator[tuple[str, str]]:
    """Yield each breach of a rule as the file's name and ``line: text``."""
    for path in paths:
        text = path.read_text(encoding="utf-8")
        name = str(path.relative_to(root))
        for match in BANNED.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            yield name, f"{line}: {' '.join(match[0].split())!r} is a banned word"
        if path.suffix == ".py":
            yield from ((name, problem) for problem in _first_words(path))


def _first_words(path: Path) -> Iterator[str]:
    for node in source_nodes(path):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node) or ""
            first = re.match(r"\w*", docstring.strip())
            if first and first[0] in FIRST_WORDS:
                line = getattr(node, "lineno", 1)
                yield f"{line}: a docstring begins with {first[0]!r}"


if __name__ == "__main__":
    wanted = [Path(name).resolve() for name in sys.argv[1:]]
    for name, problem in problems(
        path
        for path in checked_files()
        if not wanted or any(path.is_relative_to(folder) for folder in wanted)
    ):
        sys.stdout.write(f"{name}:{problem}\n")
