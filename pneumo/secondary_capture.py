"""A DICOM film under its heat map, as a DICOM file of its own.

A Secondary Capture Image in colour, of the film's size and window: marked as derived, it names the
model and refers to the image that it was made from. That reference is a UID of the image and says
nothing to those who have not got the archive that holds it. It is the only thing of the source's
header that always goes along, besides what describes its geometry; patient and study do where the
user asks for them. Without them the file belongs to nobody and to a study of its own, since the UID
of a study is an identifier as good as a name.

Needs highdicom, from `requirements-dicom.txt`.
"""

import importlib.util
import io
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from pneumo import __version__, figures, identifiers, radiograph
from pneumo.inference.predictor import Prediction
from pneumo.report import DISCLAIMER
from pneumo.settings import ImageLimits

INSTALL = "pip install -r requirements-dicom.txt"

_SOURCE = ("SOPClassUID", "SOPInstanceUID")
_DESCRIBING = (
    *("PatientOrientation", "Laterality", "ImageLaterality", "ViewPosition", "BodyPartExamined"),
    *("PixelSpacing", "ImagerPixelSpacing", "PixelSpacingCalibrationType"),
    *("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"),
    "BurnedInAnnotation",  # whether the pixels say who is shown; the overlay adds no words
)
"""What holds for the overlay as it does for the film."""


class HighdicomMissing(RuntimeError):
    """highdicom is not installed; `str` says how to install it."""


@dataclass(frozen=True, kw_only=True)
class Capture:
    """What to write of a film.

    Attributes:
        prediction: as it was read.
        heat_map: of the overlay, float in [0, 1], shape (rows, columns).
        evidence: what it shows and by which method, in a sentence.
        opacity: of the overlay, see `figures.overlay`.
        made_at: when the capture is made.
        identified: write patient and study of the source.
    """

    prediction: Prediction
    heat_map: np.ndarray
    evidence: str
    made_at: datetime
    opacity: float = 0.45
    identified: bool = False


def available() -> bool:
    """Whether highdicom is installed."""
    return importlib.util.find_spec("highdicom") is not None


def require() -> None:
    """Complain at once, not after the work.

    Raises:
        HighdicomMissing: it is not installed.
    """
    if not available():
        raise HighdicomMissing(f"A Secondary Capture needs highdicom. Install it: {INSTALL}")


def write(data: bytes, capture: Capture, *, limits: ImageLimits) -> bytes:
    """The Secondary Capture of a DICOM film, a DICOM file (Explicit VR Little Endian, RGB).

    Args:
        data: the film.

    Raises:
        HighdicomMissing: it is not installed.
        UnreadableRadiograph: the film cannot be read.
        ValueError: the film is not a DICOM file.
    """
    require()
    film = radiograph.read(data, limits=limits)
    if film.format != "DICOM":
        raise ValueError(
            f"A Secondary Capture is made of a DICOM film. Received: a {film.format} file. "
            "Take the overlay as a picture instead."
        )
    pixels = figures.overlay(film.pixels, capture.heat_map, opacity=capture.opacity)
    image = _image(pixels, data, capture)
    file = io.BytesIO()
    image.save_as(file, enforce_file_format=True)
    return file.getvalue()


def _image(pixels: np.ndarray, data: bytes, capture: Capture) -> Any:
    from highdicom import UID, ContributingEquipment
    from highdicom.sc import ConversionTypeValues, SCImage
    from pydicom.sr.codedict import codes
    from pydicom.valuerep import DA, TM

    prediction, made_at = capture.prediction, capture.made_at
    model = f"{prediction.model}, SHA-256 {prediction.model_digest}"
    equipment: dict[str, Any] = {
        "manufacturer": "Pneumo",
        "manufacturer_model_name": prediction.model[:64],
        "software_versions": (__version__, prediction.model_digest),
    }
    image = SCImage(
        pixels,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "F"),  # highdicom asks for one; the film's own replaces it
        study_instance_uid=UID(),
        series_instance_uid=UID(),
        series_number=1,
        sop_instance_uid=UID(),
        instance_number=1,
        series_description=f"Heat map by Pneumo {prediction.model}"[:64],
        content_date=made_at.date(),
        content_time=made_at.time(),
        specific_character_set="ISO_IR 192",
        contributing_equipment=[
            ContributingEquipment(
                purpose_of_reference=codes.DCM.ProcessingEquipment,
                contribution_datetime=made_at,
                contribution_description=f"{capture.evidence} {model}",
                **equipment,
            )
        ],
        **equipment,
    )
    image.ConversionType = ConversionTypeValues.WSD.value
    image.InstanceCreationDate = image.DateOfSecondaryCapture = DA(made_at.date())
    image.InstanceCreationTime = image.TimeOfSecondaryCapture = TM(made_at.time())
    image.TimezoneOffsetFromUTC = made_at.strftime("%z")
    image.DerivationDescription = (
        f"{capture.evidence} Laid over the film as it is windowed, at an opacity of "
        f"{capture.opacity:.0%}, by Pneumo {__version__} and its model {model}."
    )
    reasons = " ".join([*prediction.scope, *prediction.flags, DISCLAIMER])
    image.ImageComments = f"{prediction.description}. {reasons}"
    image.PatientOrientation = []  # unknown, unless the film says
    named = identifiers.PATIENT + identifiers.STUDY if capture.identified else ()
    # Elements, not values: what another device wrote wrongly is passed on, not complained about.
    for element in identifiers.read(data, _DESCRIBING + named):
        if element.keyword != "SpecificCharacterSet":
            image[element.tag] = element
    source = identifiers.read(data, _SOURCE)
    if "SOPInstanceUID" in source:
        image.SourceImageSequence = [_reference(source)]
    return image


def _reference(source: Any) -> Any:
    """An item that names the film and what the overlay has to do with it."""
    from highdicom.sr import CodedConcept
    from pydicom import Dataset
    from pydicom.sr.codedict import codes

    item = Dataset()
    item.ReferencedSOPClassUID = source.SOPClassUID
    item.ReferencedSOPInstanceUID = source.SOPInstanceUID
    purpose = codes.DCM.SourceImageForImageProcessingOperation
    item.PurposeOfReferenceCodeSequence = [CodedConcept.from_code(purpose)]
    return item
