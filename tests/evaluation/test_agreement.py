"""Labels in many spellings, and how far verdicts agree with them."""

import pytest

from pneumo.evaluation.agreement import Agreement, Label, Labels, agreement, read_labels
from pneumo.evaluation.interval import wilson_interval

HERE: dict[str, Label] = {"a.png": "NORMAL", "b.png": "PNEUMONIA"}


@pytest.mark.parametrize(
    "table",
    [
        "file,label\na.png,NORMAL\nb.png,PNEUMONIA\n",
        "label,file\r\n0,a.png\r\n1,b.png\r\n",
        "File Name;Diagnosis\nA.PNG;normal\nB.png;Pneumonia\n",
        "patient\tImage Index\tFinding Labels\n7\ta.png\tNo Finding\n8\tb.png\tpneumonia\n",
        "path|target\ntrain/NORMAL/a.png|negative\nC:\\films\\b.png|positive\n",
        '"image_path","class"\n"a.png","healthy"\n"b.png"," Viral_Pneumonia "\n',
        "file,label\na.png,0.0\n\nb.png,1.0\nonly one field\n",
    ],
)
def test_tables_in_many_spellings(table: str) -> None:
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        assert read_labels(table.encode(encoding)) == Labels(by_name=HERE)


def test_letters_that_are_no_utf_8() -> None:
    labels = read_labels("file,label\nMüller.png,1\n".encode("cp1252"))
    assert labels.of(["müller.png"]) == ["PNEUMONIA"]


def test_rows_without_a_label_and_with_both() -> None:
    labels = read_labels(b"file,label\na.png,0\nb.png,1\nb.png,1\nc.png,?\nd.png,0\nd.png,1\n,1\n")
    assert labels == Labels(by_name=HERE, unknown=1, contradictory=1)


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        (b"a.png,0\nb.png,1\n", "Received the headings: 'a.png,0'. Rename the columns."),
        (b"file,age\na.png,3\n", "Received the headings: 'file,age'"),
        (b"", "Received the headings: ''"),
        (b"\x89PNG\r\n\x1a\n\0\0", "must have a column `file` and a column `label`"),
        (b"file,label\na.png,perhaps\n", "Received: 1 rows, none of which does."),
        (b"file,label\n", "Received: 0 rows"),
    ],
)
def test_what_is_no_table_of_labels(table: bytes, complaint: str) -> None:
    with pytest.raises(ValueError, match="table of labels") as refused:
        read_labels(table)
    assert complaint in str(refused.value)


def test_files_are_matched_by_their_names() -> None:
    labels = Labels(by_name=HERE | {"c": "PNEUMONIA"})
    assert labels.of(["x/A.png", "b.png", "c.dcm", "d.png"]) == [
        *("NORMAL", "PNEUMONIA", "PNEUMONIA", None)
    ]


def test_of_two_files_of_one_name_neither_is_matched() -> None:
    names = ["x/a.png", "b.png", "y/a.png", "x/c.png", "y/c.png"]
    labels = Labels(by_name=HERE)
    assert labels.of(names) == [None, "PNEUMONIA", None, None, None]
    assert labels.shared(names) == 2, "of the others it says nothing anyway"


def test_agreement_by_hand() -> None:
    pairs: list[tuple[Label, Label]] = [
        *[("PNEUMONIA", "PNEUMONIA")] * 3,  # type: ignore[list-item]
        ("NORMAL", "PNEUMONIA"),
        *[("NORMAL", "NORMAL")] * 4,  # type: ignore[list-item]
        *[("PNEUMONIA", "NORMAL")] * 2,  # type: ignore[list-item]
    ]
    found = agreement(pairs)
    assert found == Agreement(
        true_positives=3,
        false_negatives=1,
        true_negatives=4,
        false_positives=2,
        accuracy=0.7,
        sensitivity=0.75,
        specificity=4 / 6,
        accuracy_interval=wilson_interval(7, 10),
        sensitivity_interval=wilson_interval(3, 4),
        specificity_interval=wilson_interval(4, 6),
    )
    assert found.films == 10


def test_agreement_with_one_class_and_with_nothing() -> None:
    found = agreement([("NORMAL", "NORMAL")])
    assert found is not None
    assert (found.accuracy, found.specificity) == (1.0, 1.0)
    assert found.sensitivity is None and found.sensitivity_interval is None
    assert agreement([]) is None
