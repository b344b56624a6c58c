"""What all pages share, as far as it can be had without a page."""

import pytest

from pages.parts.frame import escape, film_name


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("person1_bacteria-2.jpeg", r"person1\_bacteria-2.jpeg"),
        ("_1_.png", r"\_1\_.png"),
        ("a&amp;b.png", r"a\&amp;b.png"),
        ("![x](https://example.org/x.png)", r"\!\[x\](https\://example.org/x.png)"),
        ("$x$ <b> **y**", r"\$x\$ \<b\> \*\*y\*\*"),
        ("Röntgen 2", "Röntgen 2"),
    ],
)
def test_text_from_outside_is_no_markdown(text: str, shown: str) -> None:
    assert escape(text) == shown


def test_a_name_breaks_between_its_parts_only() -> None:
    assert film_name("train/NORMAL/person1_virus-2.jpeg") == "person1\\_\u200bvirus-\u200b2"
