"""A sheet of A4 that can write any language, and the few shapes that a report is made of."""

import functools
import unicodedata
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import cast

from fontTools.ttLib import TTFont
from fpdf import FPDF
from fpdf.enums import MethodReturnValue, WrapMode, XPos, YPos

FONTS = Path(__file__).parent / "fonts"
LATIN, BOLD = "NotoSans-Regular", "NotoSans-Bold"
CHINESE_JAPANESE_KOREAN = "WenQuanYiMicroHei"
"""The largest by far: asked last."""

Colour = tuple[int, int, int]
INK: Colour = (24, 28, 36)
QUIET: Colour = (92, 100, 112)
RULE: Colour = (214, 218, 224)
WHITE: Colour = (255, 255, 255)

WIDTH, HEIGHT, MARGIN = 210.0, 297.0, 18.0
"""Of A4, in millimetres, as every length here."""
TEXT_WIDTH = WIDTH - 2 * MARGIN
BOTTOM = HEIGHT - 22.0
"""Where the foot of a page begins."""
_POINT = 25.4 / 72
_MISSING = "□"


def colour(web: str) -> Colour:
    """`#RRGGBB` as red, green and blue from 0 to 255."""
    red, green, blue = bytes.fromhex(web.removeprefix("#"))
    return red, green, blue


def tint(full: Colour, share: float) -> Colour:
    """A colour on white paper, thinned to this share of it."""
    red, green, blue = (round(255 - share * (255 - level)) for level in full)
    return red, green, blue


class Sheet(FPDF):
    """A PDF document whose text comes out in whatever language it was written.

    Text that runs from right to left is set at the right margin. Fonts are loaded when a
    text needs them, and only the characters that occur are embedded.

    Args:
        title: of the document.
        foot: stands at the foot of every page, before the page's number.
        made_at: stands in the document as its date, so that equal input makes equal files.
    """

    def __init__(self, *, title: str, foot: tuple[str, str], made_at: datetime) -> None:
        super().__init__(format="A4")
        self._foot = foot
        self.set_title(title)
        self.set_lang("en")
        self.set_creation_date(made_at)
        self.set_margins(MARGIN, MARGIN)
        self.set_auto_page_break(True, HEIGHT - BOTTOM)
        self.c_margin = 0
        self.set_text_shaping(True)
        self._loaded: list[str] = []
        self._load(LATIN)
        self.add_font(LATIN, "B", FONTS / f"{BOLD}.ttf")

    def footer(self) -> None:
        """What stands at the foot of every page; fpdf2 asks for it."""
        emphasised, rest = self._foot
        self.rule(BOTTOM + 5)
        self.text_at(MARGIN, BOTTOM + 7, emphasised, size=8.5, bold=True)
        self.set_font(LATIN, "B", 8.5)
        indent = self.get_string_width(emphasised) + 2.5
        self.text_at(MARGIN + indent, BOTTOM + 7, rest, size=8.5, ink=QUIET)
        self.text_at(MARGIN, BOTTOM + 7, f"{self.page_no()}", size=8.5, ink=QUIET, align="R")

    # Text -------------------------------------------------------------------------------

    def text_at(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float,
        width: float | None = None,
        bold: bool = False,
        ink: Colour = INK,
        align: str = "L",
    ) -> float:
        """Write a text, on as many lines as it takes, and on the next page where this one ends.

        Args:
            x, y: of its upper left corner, in millimetres.
            align: "L", "C" or "R"; what is written from right to left stands on the right.
            size: of the letters, in points.
            width: of the lines; to the right margin by default.

        Returns: where the next text may begin.
        """
        self.set_text_color(*ink)
        self.set_y(y)
        width = WIDTH - MARGIN - x if width is None else width
        for paragraph in printable(text).split("\n"):
            self._choose_fonts(paragraph, size=size, bold=bold)
            self.set_x(x)
            self.multi_cell(
                width,
                1.42 * size * _POINT,
                paragraph,
                align="R" if _runs_leftwards(paragraph) else align,
                new_x=XPos.LEFT,
                new_y=YPos.NEXT,
                wrapmode=self._wrapping(paragraph, width),
            )
        return self.get_y()

    def height_of(self, text: str, *, size: float, width: float) -> float:
        """How high the text would stand, in millimetres."""
        line, lines = 1.42 * size * _POINT, 0
        for paragraph in printable(text).split("\n"):
            self._choose_fonts(paragraph, size=size)
            broken = self.multi_cell(
                width,
                line,
                paragraph,
                wrapmode=self._wrapping(paragraph, width),
                dry_run=True,
                output=MethodReturnValue.LINES,
            )
            lines += len(cast("list[str]", broken))
        return line * lines

    def _choose_fonts(self, paragraph: str, *, size: float, bold: bool = False) -> None:
        needed = fonts_for(paragraph)
        for font in needed:
            if font not in self._loaded:
                self._load(font)
        self.set_font(needed[0], "B" if bold and needed[0] == LATIN else "", size)

    def _load(self, font: str) -> None:
        self._loaded.append(font)
        self.add_font(font, "", FONTS / f"{font}.ttf")
        self.set_fallback_fonts(self._loaded, exact_match=False)

    def _wrapping(self, paragraph: str, width: float) -> WrapMode:
        """Between words, or, in scripts that do not part them, wherever a line is full."""
        widest = max(map(self.get_string_width, paragraph.split()), default=0)
        return WrapMode.CHAR if widest > width / 2 else WrapMode.WORD

    # Shapes -----------------------------------------------------------------------------

    def rule(self, y: float) -> None:
        """A thin line from margin to margin."""
        self.set_draw_color(*RULE)
        self.set_line_width(0.2)
        self.line(MARGIN, y, WIDTH - MARGIN, y)

    def block(
        self, x: float, y: float, width: float, height: float, fill: Colour, *, radius: float = 0
    ) -> None:
        """A filled rectangle, its corners round where there is a radius."""
        self.set_fill_color(*fill)
        self.rect(x, y, width, height, style="F", round_corners=radius > 0, corner_radius=radius)


# What fonts can write -------------------------------------------------------------------


@functools.cache
def coverage(font: str) -> frozenset[int]:
    """The code points that a font can write."""
    with TTFont(FONTS / f"{font}.ttf", lazy=True) as opened:
        return frozenset(opened.getBestCmap())


@functools.cache
def font_names() -> tuple[str, ...]:
    """Every upright font of ordinary weight, in the order in which they are asked."""
    others = {path.stem for path in FONTS.glob("*.ttf")} - {LATIN, BOLD, CHINESE_JAPANESE_KOREAN}
    return LATIN, *sorted(others), CHINESE_JAPANESE_KOREAN


def fonts_for(text: str) -> Sequence[str]:
    """The fonts that write a text between them, the one first that can write most of it.

    It is the one to set the text in: a word keeps its shape where one font writes all of it,
    joiners and numbers included.
    """
    left, needed = {ord(character) for character in text}, []
    for font in font_names():
        if not left:
            break
        if left & coverage(font):
            needed.append(font)
            left -= coverage(font)
    letters = [ord(character) for character in text if character.isalpha()]
    return sorted(
        needed or [LATIN], key=lambda font: -sum(letter in coverage(font) for letter in letters)
    )


def unprintable(text: str) -> str:
    """The characters of a text that no font can write, each once, in order."""
    return "".join(dict.fromkeys(it for it in _cleaned(text) if not _has_font(it)))


def printable(text: str) -> str:
    """A text with an empty box for each character that no font can write."""
    return "".join(it if _has_font(it) else _MISSING for it in _cleaned(text))


def _cleaned(text: str) -> str:
    """Without control characters, and without signs of no look of their own that no font has."""
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\t", "    "))
    return "".join(it for it in text if it == "\n" or not _prints_nothing(it))


def _prints_nothing(character: str) -> bool:
    category = unicodedata.category(character)
    steers = category == "Cf" or "VARIATION SELECTOR" in unicodedata.name(character, "")
    return category == "Cc" or (steers and not _has_font(character))


def _has_font(character: str) -> bool:
    code = ord(character)
    return character == "\n" or any(code in coverage(font) for font in font_names())


def _runs_leftwards(paragraph: str) -> bool:
    """Whether its first letter belongs to a script that runs from right to left."""
    directions = (unicodedata.bidirectional(character) for character in paragraph)
    return next((it for it in directions if it in ("L", "R", "AL")), "L") != "L"
