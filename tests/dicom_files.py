"""DICOM files built in memory, with a made-up patient in every header."""

import io
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

PATIENT = "Merriweather^Ottoline"
PATIENT_ID = "PID-7731942"


def dataset(pixels: np.ndarray, **elements: Any) -> FileDataset:
    """An uncompressed film; `elements` add to the header or override it.

    `pixels`: uint8, uint16, int8 or int16, shape (height, width) or (height, width, 3).
    """
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    film = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    film.SOPClassUID = SecondaryCaptureImageStorage
    film.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    film.PatientName = PATIENT
    film.PatientID = PATIENT_ID
    film.PatientBirthDate = "19030609"
    film.Rows, film.Columns = pixels.shape[:2]
    film.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    film.PhotometricInterpretation = "MONOCHROME2" if pixels.ndim == 2 else "RGB"
    if pixels.ndim == 3:
        film.PlanarConfiguration = 0
    film.BitsAllocated = film.BitsStored = 8 * pixels.itemsize
    film.PixelRepresentation = int(pixels.dtype.kind == "i")
    film.PixelData = pixels.tobytes()
    film["PixelData"].VR = "OB" if pixels.itemsize == 1 else "OW"
    for keyword, value in elements.items():
        setattr(film, keyword, value)
    film.HighBit = film.BitsStored - 1
    return film


def lut(first: int, bits: int, entries: list[int]) -> Dataset:
    """One item of a modality or VOI LUT sequence."""
    item = Dataset()
    item.add_new("LUTDescriptor", "US" if first >= 0 else "SS", [len(entries), first, bits])
    item.add_new("LUTData", "US", entries)
    return item


def encapsulated(film: FileDataset, codestream: bytes, transfer_syntax: UID) -> FileDataset:
    """The film with its pixels replaced by a compressed codestream."""
    film.PixelData = encapsulate([codestream])
    film["PixelData"].VR = "OB"
    film["PixelData"].is_undefined_length = True
    film.file_meta.TransferSyntaxUID = transfer_syntax
    return film


def to_bytes(film: FileDataset) -> bytes:
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, film)
    return stream.getvalue()
