"""Who a DICOM file is about: read only where the user asks for it, and never kept.

Everything else in Pneumo reads what describes the pixels and nothing more, see `radiograph`.
"""

import io
from typing import Any

PATIENT = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")
STUDY = (
    *("StudyInstanceUID", "StudyID", "StudyDate", "StudyTime"),
    *("AccessionNumber", "ReferringPhysicianName"),
)


def read(data: bytes, keywords: tuple[str, ...]) -> Any:
    """These elements of a DICOM file, those that it has, as a pydicom data set.

    Args:
        data: a file that `radiograph.read` has accepted: that call keeps pydicom from quoting
            a header in what it logs.
        keywords: names of elements.
    """
    import pydicom

    return pydicom.dcmread(
        io.BytesIO(data), force=True, specific_tags=list(keywords), stop_before_pixels=True
    )


def in_words(data: bytes) -> dict[str, str]:
    """What a DICOM file says of patient and study, by what people call it.

    Args:
        data: as for `read`.
    """
    elements = read(data, PATIENT + STUDY)
    texts = {keyword: str(elements.get(keyword) or "") for keyword in PATIENT + STUDY}
    words = {
        "Patient": texts["PatientName"].replace("^", " ").replace("=", " · "),
        "Patient ID": texts["PatientID"],
        "Born": _date(texts["PatientBirthDate"]),
        "Sex": texts["PatientSex"],
        "Study of": _date(texts["StudyDate"]),
        "Accession": texts["AccessionNumber"],
    }
    return {name: text.strip() for name, text in words.items() if text.strip()}


def _date(text: str) -> str:
    """A date of DICOM, 19030609, as 1903-06-09."""
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if len(text) == 8 and text.isdigit() else text
