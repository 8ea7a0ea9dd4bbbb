"""The report on a rehearsal as PDF, with the same text as its page."""

import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import matplotlib as mpl
from fpdf import FPDF
from fpdf.enums import Align, TableBordersLayout, WrapMode
from fpdf.fonts import FontFace, TTFFont
from matplotlib.figure import Figure
from PIL import Image

from reports.figures.timeline import writing
from reports.rehearsal.blocks import Block, Code, Picture, Points, RehearsalPage, Table, Tile, Words
from reports.text import units
from reports.text.tables import TextTable

FONT, MONO = "DejaVu", "DejaVuMono"
_FONT_FILES = (
    (FONT, "", "DejaVuSans.ttf"),
    (FONT, "B", "DejaVuSans-Bold.ttf"),
    (MONO, "", "DejaVuSansMono.ttf"),
)
_MARGIN_MM = 15.0
_INK, _QUIET, _LINE, _BLANK = (34, 34, 34), (90, 90, 90), (190, 190, 190), (255, 253, 240)
_GOOD, _BAD, _ALARM = (0, 102, 74), (168, 63, 0), (122, 47, 99)
_DPI = 130
_TILES_A_ROW = 4
_WIDEST, _BLANK_WIDTH = 46, 14
"""Characters of a column of a table."""
MOST_CHARACTERS = 1_000
"""Of a cell or a paragraph: a row that is higher than a page cannot be laid out."""


def pdf(page: RehearsalPage, drawings: Mapping[str, Figure], started_utc: str) -> bytes:
    """The page as an A4 document; the same bytes for the same page.

    drawings: by the names of the page's pictures.
    """
    document = _Document(page.title, started_utc)
    document.head(page)
    for chapter in page.chapters:
        # A figure takes a whole page; its heading is to be on the same one.
        begins_with_picture = isinstance(next(iter(chapter.blocks), None), Picture)
        document.heading(chapter.heading, new_page=begins_with_picture)
        for block in chapter.blocks:
            document.block(block, drawings)
    return bytes(document.output())


class _Document(FPDF):
    """Lays blocks out, one below the other."""

    def __init__(self, title: str, started_utc: str) -> None:
        super().__init__(format="A4")
        fonts = Path(mpl.get_data_path()) / "fonts" / "ttf"
        for family, style, name in _FONT_FILES:
            self.add_font(family, style, fonts / name)
        faces = [self.fonts[f"{FONT.lower()}{style}"] for style in ("", "B")]
        letters = [set(face.cmap) for face in faces if isinstance(face, TTFFont)]
        self._known = letters[0].intersection(*letters)
        self.set_margin(_MARGIN_MM)
        self.set_auto_page_break(auto=True, margin=_MARGIN_MM + 5)
        self.set_lang("en")
        self._title = self.safe(title)
        self.set_title(self._title)
        self.set_creator("reconnect-storm")
        self.set_creation_date(_moment(started_utc))
        self.set_draw_color(*_LINE)
        self.add_page()

    def footer(self) -> None:
        """Title and number of each page."""
        self.set_y(-_MARGIN_MM)
        self._write(f"{self._title}  ·  page {self.page_no()}", size=7.5, colour=_QUIET, align=Align.R)

    def safe(self, text: str, most: int = MOST_CHARACTERS) -> str:
        """The text on one line, without what the fonts do not have, and not longer than can be laid out."""
        return self._known_letters(units.unbroken(" ".join(text.split())), most)

    def _known_letters(self, line: str, most: int = MOST_CHARACTERS) -> str:
        known = "".join(
            letter if ord(letter) in self._known else "\N{REPLACEMENT CHARACTER}" for letter in line
        )
        return known if len(known) <= most else f"{known[: most - 1]}…"

    def head(self, page: RehearsalPage) -> None:
        """Title, outcome, and the numbers that matter."""
        self._write(self._title, size=18, bold=True)
        self._write(page.subtitle, size=8.5, colour=_QUIET)
        self.ln(2)
        if page.alarms:
            self._write("Do not rely on this result.", size=11, bold=True, colour=_ALARM)
            for alarm in page.alarms:
                self._point(alarm, colour=_ALARM)
            self.ln(2)
        self._write(page.outcome, size=11.5)
        self.ln(3)
        self._tiles(page.tiles)
        if page.about:
            self._write(page.about, size=8.5, colour=_QUIET)

    def heading(self, text: str, *, new_page: bool) -> None:
        """Of a chapter; it never stands alone at the end of a page."""
        if new_page or self.will_page_break(32):
            self.add_page()
        else:
            self.ln(5)
        self.start_section(self.safe(text))
        self._write(text, size=13, bold=True)
        self.ln(1)

    def block(self, block: Block, drawings: Mapping[str, Figure]) -> None:
        """One block."""
        match block:
            case Words():
                if block.quiet:
                    self._write(block.text, size=7.5, colour=_QUIET)
                else:
                    self._write(block.text)
                self.ln(1.5)
            case Points():
                for item in block.items:
                    self._point(item)
                self.ln(1.5)
            case Code():
                self._code(block)
            case Picture():
                self._picture(block, drawings[block.name])
            case Table():
                self._table(block.content, block.blank)

    def _write(
        self,
        text: str,
        *,
        size: float = 9.5,
        bold: bool = False,
        colour: tuple[int, int, int] = _INK,
        align: Align = Align.L,
    ) -> None:
        self.set_font(FONT, "B" if bold else "", size)
        self.set_text_color(*colour)
        self.multi_cell(0, size * 0.49, self.safe(text), align=align, new_x="LMARGIN", new_y="NEXT")

    def _point(self, text: str, *, colour: tuple[int, int, int] = _INK) -> None:
        self.set_font(FONT, "", 9.5)
        self.set_text_color(*colour)
        self.cell(5, 4.7, "•")
        self.multi_cell(0, 4.7, self.safe(text), align=Align.L, new_x="LMARGIN", new_y="NEXT")
        self.ln(0.6)

    def _code(self, block: Code) -> None:
        if self.will_page_break(20):
            self.add_page()
        self._write(block.label, bold=True)
        self.set_font(MONO, "", 6.8)
        for line in block.lines:
            text = self._known_letters(line.expandtabs(4))
            self.multi_cell(
                0, 3.2, text or " ", align=Align.L, wrapmode=WrapMode.CHAR, new_x="LMARGIN", new_y="NEXT"
            )
        self.ln(2)

    def _picture(self, block: Picture, drawing: Figure) -> None:
        image = _image(drawing)
        width = self.epw
        height = width * image.height / image.width
        highest = self.eph - 30
        if height > highest:
            width, height = width * highest / height, highest
        if self.will_page_break(height):
            self.add_page()
        self.image(image, w=width, alt_text=self.safe(block.alt))
        self._write(block.caption, size=7.5, colour=_QUIET)
        self.ln(1.5)

    def _tiles(self, tiles: Sequence[Tile]) -> None:
        width, height = self.epw / _TILES_A_ROW, 17.0
        for number, tile in enumerate(tiles):
            column = number % _TILES_A_ROW
            if column == 0 and self.will_page_break(height):
                self.add_page()
            x, y = self.l_margin + column * width, self.get_y()
            colour = {True: _GOOD, False: _BAD, None: _INK}[tile.good]
            self.rect(x, y, width - 2, height - 2)
            for text, size, bold, below in (
                (tile.name, 7, False, 1),
                (tile.value, 12, True, 4.5),
                (tile.note, 6.5, False, 10),
            ):
                self.set_xy(x + 1, y + below)
                self.set_font(FONT, "B" if bold else "", size)
                self.set_text_color(*(colour if bold else _QUIET))
                self.cell(width - 4, 4.5, self._fitting(self.safe(text), width - 5))
            last = number == len(tiles) - 1 or column == _TILES_A_ROW - 1
            self.set_xy(self.l_margin, y + height if last else y)

    def _fitting(self, text: str, width: float) -> str:
        """As much of the text as fits into one line."""
        if self.get_string_width(text) <= width:
            return text
        while text and self.get_string_width(f"{text}…") > width:
            text = text[:-1]
        return f"{text}…"

    def _table(self, content: TextTable, blank: frozenset[str]) -> None:
        size = 7.5 if len(content.headings) <= 6 else 6.8
        self.set_font(FONT, "", size)
        self.set_text_color(*_INK)
        texts = [[self.safe(cell) for cell in row] for row in content.rows]
        headings = [self.safe(heading) for heading in content.headings]
        align = tuple(
            Align.L if number == 0 or heading in content.words else Align.R
            for number, heading in enumerate(content.headings)
        )
        with self.table(
            col_widths=_widths(headings, texts, blank),
            text_align=align,
            borders_layout=TableBordersLayout.HORIZONTAL_LINES,
            line_height=size * 0.5,
            padding=(0.9, 1.2),
            headings_style=FontFace(emphasis="BOLD", color=_INK),
        ) as table:
            table.row(headings)
            for row in texts:
                cells = table.row()
                for heading, cell in zip(content.headings, row, strict=True):
                    empty = heading in blank and not cell
                    cells.cell(
                        "\n\n" if empty else cell, style=FontFace(fill_color=_BLANK) if empty else None
                    )
        self.ln(2)


def _widths(
    headings: Sequence[str], texts: Sequence[Sequence[str]], blank: frozenset[str]
) -> tuple[float, ...]:
    """Shares of the page, in characters: by the longest text of a column, but neither so narrow that a word
    would break nor nearly everything."""
    widths = []
    for place, heading in enumerate(headings):
        cells = [row[place] for row in texts]
        longest = max(map(len, cells), default=0)
        word = max((len(word) for text in (heading, *cells) for word in text.split()), default=0)
        least = _BLANK_WIDTH if heading in blank else 0
        widths.append(float(max(least, min(word, _WIDEST) + 2, min(longest, _WIDEST) + 1)))
    return tuple(widths)


def _image(drawing: Figure) -> Image.Image:
    """The figure as a picture that is sharp enough for paper, and without the alpha channel that a PDF would
    keep apart."""
    target = io.BytesIO()
    with writing():
        drawing.savefig(target, format="raw", dpi=_DPI)
    size = (int(drawing.get_figwidth() * _DPI), int(drawing.get_figheight() * _DPI))
    return Image.frombytes("RGBA", size, target.getvalue()).convert("RGB")


def _moment(started_utc: str) -> datetime:
    """The time that is written into the document; the beginning of time where it cannot be read."""
    try:
        return datetime.fromisoformat(started_utc)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
