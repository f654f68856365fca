"""HTML within Markdown: its visible text, and the rows of its tables."""

from html.parser import HTMLParser

_BLOCKS = frozenset(
    [
        "address",
        "article",
        "br",
        "dd",
        "div",
        "dt",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "li",
        "ol",
        "p",
        "pre",
        "section",
        "summary",
        "ul",
    ]
)
_HIDDEN = frozenset({"script", "style"})


class HtmlContent(HTMLParser):
    """The text and the tables of a piece of HTML. Comments and tags are in neither."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self._pieces: list[str] = []
        self._cell: list[str] | None = None
        self._hidden = 0
        self.feed(html)
        self.close()
        self._end_cell()

    @property
    def text(self) -> str:
        """Return the text outside tables, a line for each block."""
        lines = (" ".join(line.split()) for line in "".join(self._pieces).split("\n"))
        return "\n".join(line for line in lines if line)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self._end_cell()  # a table within a cell comes after the cell's text
            self.tables.append([])
        elif tag in ("tr", "td", "th") and self.tables:
            self._end_cell()
            if tag == "tr" or not self.tables[-1]:
                self.tables[-1].append([])
            self._cell = [] if tag != "tr" else None
        elif tag == "img":
            self.handle_data(dict(attrs).get("alt") or "")
        elif tag in _BLOCKS:
            self.handle_data("\n")
        self._hidden += tag in _HIDDEN

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th", "tr", "table"):
            self._end_cell()
        elif tag in _BLOCKS:
            self.handle_data("\n")
        self._hidden = max(0, self._hidden - (tag in _HIDDEN))

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            (self._pieces if self._cell is None else self._cell).append(data)

    def parse_marked_section(self, i: int, report: bool = True) -> int:
        """Skip ``<![if …>`` as browsers do. The parser raises for what it does not know."""
        return self.parse_bogus_comment(i, report)

    def _end_cell(self) -> None:
        if self._cell is not None:
            self.tables[-1][-1].append(" ".join("".join(self._cell).split()))
            self._cell = None
