"""Secondary Captures: what the standard asks of them, and whom they do not name."""

import dataclasses
import io
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from pneumo import figures, radiograph, secondary_capture, settings
from pneumo.inference import bundle
from pneumo.inference.predictor import Predictor
from pneumo.secondary_capture import Capture, HighdicomMissing
from tests.dicom_files import PATIENT, PATIENT_ID, dataset, to_bytes

LIMITS = settings.ImageLimits()
MADE_AT = datetime(2026, 3, 1, 9, 5, 7, tzinfo=timezone(timedelta(hours=-3)))
STUDY = generate_uid()


@pytest.fixture(scope="module")
def film() -> bytes:
    """A 12-bit film with a window and a made-up patient."""
    pixels = np.random.default_rng(0).integers(0, 4096, (300, 260), dtype=np.uint16)
    header = dataset(
        pixels,
        SpecificCharacterSet="ISO_IR 100",
        BitsStored=12,
        PhotometricInterpretation="MONOCHROME1",
        WindowCenter=2000,
        WindowWidth=3000,
        StudyInstanceUID=STUDY,
        StudyDate="20260228",
        AccessionNumber="ACC-5512",
        InstitutionName="St. Elsewhere",
        PatientComments="A secret",
        OperatorsName="Doe^Jane",
        PatientOrientation=["L", "F"],
        PixelSpacing=[0.15, 0.2],
        ViewPosition="PA",
        BurnedInAnnotation="YES",
    )
    header.add_new(0x00091001, "LO", "private secret")
    return to_bytes(header)


@pytest.fixture(scope="module")
def capture(film: bytes) -> Capture:
    model = Predictor(bundle.find(settings.load()))
    prediction = model.predict(radiograph.read(film, limits=LIMITS))
    prediction = dataclasses.replace(prediction, scope=("It is noise.",))
    return Capture(
        prediction=prediction,
        heat_map=prediction.heat_map,
        evidence="Grad-CAM: the brighter, the more.",
        made_at=MADE_AT,
    )


def written(film: bytes, capture: Capture) -> tuple[bytes, pydicom.FileDataset]:
    data = secondary_capture.write(film, capture, limits=LIMITS)
    return data, pydicom.dcmread(io.BytesIO(data))


def test_it_is_the_overlay_at_full_size(film: bytes, capture: Capture) -> None:
    _, image = written(film, dataclasses.replace(capture, opacity=0.7))
    pixels = radiograph.read(film, limits=LIMITS).pixels
    expected = figures.overlay(pixels, capture.heat_map, opacity=0.7)
    np.testing.assert_array_equal(image.pixel_array, expected)
    assert image.PhotometricInterpretation == "RGB"
    assert image.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert image.PixelSpacing == [0.15, 0.2]
    assert image.PatientOrientation == ["L", "F"]
    assert image.ViewPosition == "PA"
    assert image.BurnedInAnnotation == "YES"


def test_it_is_marked_as_derived_and_refers_to_its_source(film: bytes, capture: Capture) -> None:
    _, image = written(film, capture)
    source = pydicom.dcmread(io.BytesIO(film))
    assert image.SOPClassUID == SecondaryCaptureImageStorage
    assert image.ImageType[:2] == ["DERIVED", "SECONDARY"]
    assert image.ConversionType == "WSD"
    (reference,) = image.SourceImageSequence
    assert reference.ReferencedSOPClassUID == source.SOPClassUID
    assert reference.ReferencedSOPInstanceUID == source.SOPInstanceUID
    assert reference.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
    assert image.SOPInstanceUID != source.SOPInstanceUID
    model, digest = capture.prediction.model, capture.prediction.model_digest
    assert "Grad-CAM" in image.DerivationDescription
    assert digest in image.DerivationDescription
    assert image.SeriesDescription == f"Heat map by Pneumo {model}"
    equipment = image.ContributingEquipmentSequence[0]
    assert equipment.ManufacturerModelName == model
    assert digest in equipment.SoftwareVersions
    assert image.ImageComments.startswith("Outside what the model was trained on. Would lean to ")
    assert image.ImageComments.endswith("It is noise. Decision support, not a diagnosis.")


def test_its_time_is_the_given_one(film: bytes, capture: Capture) -> None:
    _, image = written(film, capture)
    for kind in ("InstanceCreation", "Content"):
        assert image[f"{kind}Date"].value == "20260301"
        assert image[f"{kind}Time"].value == "090507"
    assert (image.DateOfSecondaryCapture, image.TimeOfSecondaryCapture) == ("20260301", "090507")
    assert image.TimezoneOffsetFromUTC == "-0300"


def test_nobody_is_named_unless_the_user_wants_it(film: bytes, capture: Capture) -> None:
    planted = [
        *PATIENT.split("^"),
        *(PATIENT_ID, "19030609", "ACC-5512", "St. Elsewhere", "secret", "Doe", str(STUDY)),
        "20260228",
    ]
    assert all(it.encode() in film for it in planted)
    data, image = written(film, capture)
    for identifier in planted:
        assert identifier.encode() not in data, identifier
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyID"):
        assert keyword in image, "the standard wants it there, and empty"
        assert not image[keyword].value
    _, other = written(film, capture)
    assert other.StudyInstanceUID != image.StudyInstanceUID


def test_patient_and_study_go_along_where_the_user_wants_it(film: bytes, capture: Capture) -> None:
    data, image = written(film, dataclasses.replace(capture, identified=True))
    assert (image.PatientName, image.PatientID) == (PATIENT, PATIENT_ID)
    assert (image.PatientBirthDate, image.AccessionNumber) == ("19030609", "ACC-5512")
    assert (image.StudyInstanceUID, image.StudyDate) == (STUDY, "20260228")
    for kept_back in ("St. Elsewhere", "secret", "Doe"):
        assert kept_back.encode() not in data


def test_a_name_keeps_its_letters_in_another_encoding(capture: Capture) -> None:
    pixels = np.zeros((64, 64), np.uint8)
    header = dataset(pixels, SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Jörg")
    _, image = written(to_bytes(header), dataclasses.replace(capture, identified=True))
    assert image.SpecificCharacterSet == "ISO_IR 192"
    assert image.PatientName == "Müller^Jörg"


def test_what_the_source_does_not_say_is_left_open(capture: Capture) -> None:
    _, image = written(to_bytes(dataset(np.zeros((64, 64), np.uint8))), capture)
    assert "PatientOrientation" in image
    assert not image.PatientOrientation
    assert "BurnedInAnnotation" not in image
    assert "PixelSpacing" not in image


def test_a_film_that_is_no_dicom_file_is_refused(capture: Capture, sample_root: Path) -> None:
    jpeg = min(sample_root.glob("test/NORMAL/*.jpeg")).read_bytes()
    with pytest.raises(ValueError, match="Received: a JPEG file"):
        secondary_capture.write(jpeg, capture, limits=LIMITS)


def test_without_highdicom_it_says_how_to_get_it(
    film: bytes, capture: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(HighdicomMissing, match=r"pip install -r requirements-dicom\.txt"):
        secondary_capture.write(film, capture, limits=LIMITS)
