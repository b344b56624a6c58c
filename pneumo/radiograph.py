"""From the bytes of a file to grey pixels, and from grey pixels to what the network sees.

The only decoder and the only preprocessing of the package: training, evaluation,
the pages and the command line all come through here. Files are recognised by
content, never by name. Of a DICOM header only the elements that describe the
pixels are ever parsed, so that nothing about a patient can reach a record, a
message or a log.
"""

import functools
import io
import logging
import mmap
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
from PIL import ExifTags, Image, ImageOps
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from pneumo.settings import ImageLimits

# A broken EXIF block costs no more than the orientation: see `_exif_orientation`.
warnings.filterwarnings("ignore", "Corrupt EXIF data", UserWarning)


class UnreadableRadiograph(ValueError):
    """A file that cannot be read as a radiograph. `str` says why and what to do next.

    Attributes:
        rule: which rule the file breaks: "empty", "truncated", "not_an_image", "too_large",
            "too_small", "decompression_bomb", "multi_frame", "no_pixel_data",
            "unsupported_compression" or "unsupported_pixels".
    """

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(rule, message)  # both, so that the exception survives pickling
        self.rule = rule

    def __str__(self) -> str:
        return self.args[1]


def why_unreadable(error: UnreadableRadiograph | OSError) -> str:
    """Why a file cannot be read, without its path: that may name a patient, or tell the label."""
    if isinstance(error, UnreadableRadiograph):
        return str(error)
    return f"The file cannot be opened: {error.strerror}."


@dataclass(frozen=True, kw_only=True)
class Radiograph:
    """One film, upright.

    Attributes:
        pixels: uint8, shape (height, width); bright is dense (as in MONOCHROME2).
        format: "JPEG", "PNG" or "DICOM".
        bit_depth: bits per sample that the file declares.
        windowed: a window or VOI LUT of the DICOM header was applied.
        inverted: the film was stored as MONOCHROME1 (bright is air) and was inverted.
        colour: grey levels between the strongest and the weakest primary colour of a pixel, on
            average, out of 255; 0 for a grey file, whatever its mode.
        reduced_from: height and width of the film in the file, where `pixels` are fewer.
    """

    pixels: np.ndarray
    format: str
    bit_depth: int
    windowed: bool = False
    inverted: bool = False
    colour: float = 0.0
    reduced_from: tuple[int, int] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels of the film in the file."""
        height, width = self.reduced_from or self.pixels.shape
        return height, width

    @property
    def description(self) -> str:
        """What the film is and how it was read, in a few words."""
        height, width = self.shape
        words = [f"{width:,} × {height:,} pixels", f"{self.format}, {self.bit_depth} bit"]
        if self.windowed:
            words.append("windowed")
        elif self.bit_depth > 8:
            words.append("no window in the file, stretched from its 0.1st to its 99.9th percentile")
        if self.inverted:
            words.append("inverted from MONOCHROME1")
        return ", ".join(words)


MODEL_INPUT_VERSION = 2
"""One more wherever the same file comes to give another model input: caches go by it."""

_REDUCING_GAP = 2
"""How many times larger than the model's input a film stays until the last resampling."""


def read_file(
    path: Path,
    *,
    limits: ImageLimits = ImageLimits(),  # noqa: B008
    model_size: int | None = None,
) -> Radiograph:
    """Read a radiograph from disk; see `read`.

    Raises:
        OSError: there is no such file, or it cannot be opened.
        UnreadableRadiograph: as for `read`.
    """
    _check_bytes(path.stat().st_size, limits)
    return read(path.read_bytes(), limits=limits, model_size=model_size)


def read(
    data: bytes,
    *,
    limits: ImageLimits = ImageLimits(),  # noqa: B008
    model_size: int | None = None,
) -> Radiograph:
    """Read a radiograph from the bytes of a JPEG, PNG or DICOM file.

    Colour becomes luma. Transparency is laid over black, which is air on a film. The
    EXIF orientation of a JPEG is honoured. Films deeper than 8 bits that bring no window
    are stretched from their 0.1st to their 99.9th percentile: stretching over the nominal
    range instead would leave a 12-bit film in 16-bit words nearly black.

    Args:
        limits: what the file must respect.
        model_size: given where a network is to see the film, at training as at prediction: the
            size for `to_model_input`. A JPEG whose sides are large enough is then decoded at a
            half, a quarter or an eighth of its size. None for all pixels, to look at.

    Raises:
        UnreadableRadiograph: the file breaks a rule; limits are checked before the pixels
            are decoded.
    """
    _check_bytes(len(data), limits)
    format = _sniff(data)
    with _damage_reported(format):
        if format == "JPEG":
            return _read_jpeg(data, limits, model_size)
        return _read_png(data, limits) if format == "PNG" else _read_dicom(data, limits)


def measure(path: Path) -> tuple[int, int]:
    """Height and width in pixels of the upright film, from the header of the file alone.

    Raises:
        OSError: there is no such file, or it cannot be opened.
        UnreadableRadiograph: the file has no readable header.
    """
    with path.open("rb") as stream:
        format = _sniff(stream.read(_SNIFFED_BYTES))
        stream.seek(0)
        with _damage_reported(format):
            if format == "DICOM":
                # Not the stream itself: pydicom's remarks quote the name of a file.
                with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
                    header = _parse_dicom(data, stop_before_pixels=True)
                return int(header.Rows), int(header.Columns)
            # Not `Image.open`: its limit on pixels is a warning, and one for the whole process.
            image = JpegImageFile(stream) if format == "JPEG" else PngImageFile(stream)
            quarter_turn = format == "JPEG" and _exif_orientation(image) >= 5
            height, width = image.height, image.width
            return (width, height) if quarter_turn else (height, width)


def to_model_input(radiograph: Radiograph, *, size: int = 224) -> np.ndarray:
    """Squeeze a film to the square that the network sees.

    Anti-aliased bilinear: of the resamplings in Pillow and OpenCV it comes closest, in grey
    levels and in sharpness, to how the 224-pixel copies of the public set were made.
    Where the film is smaller it is enlarged bilinearly; at the right size it is unchanged.

    Args:
        radiograph: read with `model_size=size`.
        size: side of the square, in pixels.

    Returns: uint8, shape (size, size). Scaling to floats is the first layer of the network.
    """
    film = Image.fromarray(radiograph.pixels)
    square = film.resize((size, size), Image.Resampling.BILINEAR, reducing_gap=_REDUCING_GAP)
    return np.asarray(square)


# Rules ---------------------------------------------------------------------------------

_RULES = {  # code: (what must hold, what to do)
    "empty": ("A file must have content.", "Copy or export it again."),
    "truncated": ("A file must be complete.", "Copy or export it again."),
    "not_an_image": (
        "A radiograph must be a JPEG, PNG or DICOM file, whatever its name.",
        "Export the film in one of these formats.",
    ),
    "too_large": (
        "A file may hold at most {:,} bytes.",
        "Compress the film, or raise `PNEUMO_MAX_FILE_MIB`.",
    ),
    "too_small": (
        "A film must be at least {} pixels high and wide.",
        "Use the original, not a thumbnail.",
    ),
    "decompression_bomb": (
        "A film may have at most {:,} pixels.",
        "Export it smaller, or raise `PNEUMO_MAX_MEGAPIXELS`.",
    ),
    "multi_frame": ("A file must hold one film.", "Export a single frame."),
    "no_pixel_data": (
        "A DICOM file must hold the pixels of a film.",
        "Export the image itself, and whole.",
    ),
    "unsupported_compression": (
        "A DICOM film must be compressed in a way that an installed decoder can undo.",
        "Export it uncompressed (Explicit VR Little Endian) or as JPEG 2000.",
    ),
    "unsupported_pixels": (
        "A DICOM film must be grey, RGB, YBR or a palette, with 8 to 16 bits per sample.",
        "Export it as MONOCHROME2 with 16 bits.",
    ),
}


def _signs_of_damage(format: str) -> tuple[type[Exception], ...]:
    """What Pillow, OpenCV, pydicom and its decoders raise on damaged files."""
    if format == "DICOM":
        return (*_SIGNS_OF_DAMAGE, _pydicom().errors.BytesLengthException)
    return _SIGNS_OF_DAMAGE


# With warnings, for those who turn them into errors.
_SIGNS_OF_DAMAGE = (
    *(ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, OSError),
    *(RuntimeError, SyntaxError, TypeError, ValueError, Warning),
    *(struct.error, zlib.error, cv2.error),
)


def _refusal(rule: str, received: str, *, limit: int | None = None) -> UnreadableRadiograph:
    must, remedy = _RULES[rule]
    return UnreadableRadiograph(rule, f"{must.format(limit)} Received: {received}. {remedy}")


@contextmanager
def _damage_reported(format: str) -> Iterator[None]:
    """What decoders say of a damaged file stays here: it may quote the header."""
    try:
        yield
    except UnreadableRadiograph:
        raise
    except _signs_of_damage(format):
        raise _refusal("truncated", f"a {format} file, cut short or damaged") from None


def _check_bytes(received: int, limits: ImageLimits) -> None:
    if received > limits.max_bytes:
        raise _refusal("too_large", f"{received:,} bytes", limit=limits.max_bytes)


def _check_size(height: int, width: int, limits: ImageLimits) -> None:
    received = f"{height} × {width} pixels (height × width)"
    if min(height, width) < limits.min_side:
        raise _refusal("too_small", received, limit=limits.min_side)
    if height * width > limits.max_pixels:
        raise _refusal("decompression_bomb", received, limit=limits.max_pixels)


# Formats -------------------------------------------------------------------------------

_SNIFFED_BYTES = 132

# (group, element) with which a DICOM file without its preamble may start.
_FIRST_ELEMENTS = (*((2, 0), (2, 1), (2, 2), (2, 16)), *((8, 0), (8, 1), (8, 5), (8, 8), (8, 22)))

_OTHER_FORMATS = {
    b"GIF8": "a GIF file",
    b"BM": "a BMP file",
    b"II*\0": "a TIFF file",
    b"MM\0*": "a TIFF file",
    b"RIFF": "a WebP file",
    b"\0\0\0\x0cjP  ": "a JPEG 2000 file outside DICOM",
    b"%PDF": "a PDF file",
    b"PK\x03\x04": "a ZIP archive",
}


def _sniff(data: bytes) -> str:
    """The format, from (at least) the first `_SNIFFED_BYTES` of a file."""
    if not data:
        raise _refusal("empty", "0 bytes")
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data[128:132] == b"DICM":
        return "DICOM"
    if len(data) >= 4 and struct.unpack_from("<HH", data) in _FIRST_ELEMENTS:
        return "DICOM"
    others = (name for start, name in _OTHER_FORMATS.items() if data.startswith(start))
    raise _refusal("not_an_image", next(others, "content of another kind"))


# JPEG and PNG --------------------------------------------------------------------------


def _read_jpeg(data: bytes, limits: ImageLimits, model_size: int | None) -> Radiograph:
    # Pillow gives the same pixels as OpenCV, gives its header first, and no noise on stderr.
    image: Image.Image = JpegImageFile(io.BytesIO(data))
    width, height = image.size
    _check_size(height, width, limits)
    in_colour = image.mode != "L"
    # Let the decoder skip the chroma of colour files, and what `to_model_input` would average.
    least = (_REDUCING_GAP * model_size,) * 2 if model_size else image.size
    image.draft("L", least)
    image.load()
    reduced = image.size != (width, height)
    orientation = _exif_orientation(image)
    if orientation > 1:
        image = ImageOps.exif_transpose(image)
    if orientation >= 5:
        width, height = height, width
    return Radiograph(
        pixels=np.asarray(image if image.mode == "L" else image.convert("L")),
        format="JPEG",
        bit_depth=8,
        colour=_colour_of_jpeg(data) if in_colour else 0.0,
        reduced_from=(height, width) if reduced else None,
    )


def _colour_of_jpeg(data: bytes) -> float:
    """From an eighth of the lines and columns, which a decoder makes at little cost."""
    image = JpegImageFile(io.BytesIO(data))
    image.draft("RGB", (1, 1))
    return _colour(np.asarray(image.convert("RGB")))


def _exif_orientation(image: Image.Image) -> int:
    """1 (upright) to 8; 1 where the EXIF block is missing or damaged."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except _SIGNS_OF_DAMAGE:
        return 1
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1


def _read_png(data: bytes, limits: ImageLimits) -> Radiograph:
    image = PngImageFile(io.BytesIO(data))
    _check_size(image.height, image.width, limits)
    if image.is_animated:
        raise _refusal("multi_frame", f"{image.n_frames} frames")
    bit_depth = data[24]  # of the IHDR chunk
    image.verify()  # every chunk is there, with the right checksum, but for the last
    if b"\0\0\0\0IEND\xae\x42\x60\x82" not in data:
        raise EOFError
    grey_and_colour = _read_deep_png if bit_depth == 16 else _read_shallow_png
    pixels, colour = grey_and_colour(data)
    return Radiograph(pixels=pixels, format="PNG", bit_depth=bit_depth, colour=colour)


def _read_shallow_png(data: bytes) -> tuple[np.ndarray, float]:
    image: Image.Image = PngImageFile(io.BytesIO(data))
    grey = image.mode in ("1", "L", "LA")
    if image.has_transparency_data:
        black = Image.new("RGBA", image.size, "black")
        image = Image.alpha_composite(black, image.convert("RGBA"))
    colour = 0.0 if grey else _colour(np.asarray(image.convert("RGB")))
    return np.asarray(image.convert("L")), colour


def _read_deep_png(data: bytes) -> tuple[np.ndarray, float]:
    """16 bits per sample, where Pillow would clip grey and halve the depth of colour."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ValueError("OpenCV cannot decode this PNG")
    if pixels.ndim == 2:
        return _stretch(pixels), 0.0
    grey = cv2.cvtColor(pixels[..., :3], cv2.COLOR_BGR2GRAY)
    if pixels.shape[2] == 4:
        grey = np.rint(grey * (pixels[..., 3] / 65535)).astype(np.uint16)
    return _stretch(grey), _colour(pixels[..., :3])


# Grey levels ---------------------------------------------------------------------------


def _stretch(pixels: np.ndarray) -> np.ndarray:
    """uint16 to uint8 over the significant range."""
    low, high = _significant_range(pixels)
    return _to_grey_levels(np.arange(65536), low, high)[pixels]


def _significant_range(pixels: np.ndarray) -> tuple[int, int]:
    """The 0.1st and the 99.9th percentile: a dead pixel must not set the scale."""
    low, high = np.percentile(pixels, (0.1, 99.9), method="inverted_cdf")
    return int(low), int(high)


def _to_grey_levels(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Values as uint8, `low` and below as 0, `high` and above as 255."""
    scaled = (values - low) / ((high - low) or 1)
    return np.rint(255 * np.clip(scaled, 0, 1)).astype(np.uint8)


def _colour(pixels: np.ndarray) -> float:
    """What `Radiograph.colour` says, from some 60,000 of the pixels.

    Args:
        pixels: uint8 or uint16, shape (height, width, 3), the three in any order.
    """
    step = max(1, max(pixels.shape[:2]) // 256)
    some = pixels[::step, ::step]
    return float(np.ptp(some, axis=2).mean() * 255 / np.iinfo(pixels.dtype).max)


# DICOM ---------------------------------------------------------------------------------

# The elements that describe the pixels. No other element of a data set is parsed.
_PIXEL_ELEMENTS = [
    "SOPClassUID",
    *("SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames"),
    *("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("ModalityLUTSequence", "RescaleIntercept", "RescaleSlope"),
    *("VOILUTSequence", "WindowCenter", "WindowWidth", "VOILUTFunction"),
    *(
        f"{kind}PaletteColorLookupTable{part}"
        for kind in ("Red", "Green", "Blue", "SegmentedRed", "SegmentedGreen", "SegmentedBlue")
        for part in (("Data",) if kind.startswith("Segmented") else ("Descriptor", "Data"))
    ),
    "PixelData",
]

_GREY = ("MONOCHROME1", "MONOCHROME2")
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "PALETTE COLOR")


@functools.cache
def _pydicom() -> ModuleType:
    """pydicom, imported when the first DICOM file comes by, and kept from quoting headers."""
    import pydicom
    import pydicom.encaps
    import pydicom.errors
    import pydicom.filereader
    import pydicom.pixels

    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    warnings.filterwarnings("ignore", module=r"pydicom\.")
    return pydicom


def _read_dicom(data: bytes, limits: ImageLimits) -> Radiograph:
    dataset = _parse_dicom(io.BytesIO(data))
    if "PixelData" not in dataset:
        raise _refusal("no_pixel_data", "a DICOM file without pixel data")
    _check_size(int(dataset.Rows), int(dataset.Columns), limits)
    frames = int(dataset.get("NumberOfFrames") or 1)
    if frames > 1:
        raise _refusal("multi_frame", f"{frames} frames")
    if dataset.PhotometricInterpretation not in _GREY + _COLOUR:
        raise _refusal("unsupported_pixels", "another photometric interpretation")
    if dataset.BitsAllocated not in (8, 16):
        raise _refusal("unsupported_pixels", f"{int(dataset.BitsAllocated)} bits allocated")
    decoder = _decoder(dataset)
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        _check_codestream(dataset, limits)
    stored, _ = decoder.as_array(dataset, index=0)
    read = _read_grey if dataset.PhotometricInterpretation in _GREY else _read_colour
    return read(stored, dataset)


def _parse_dicom(stream: io.BytesIO | mmap.mmap, *, stop_before_pixels: bool = False) -> Any:
    """The elements of a DICOM file that describe its pixels, as a pydicom data set."""
    pydicom = _pydicom()
    _refuse_deflated(stream)
    dataset = pydicom.dcmread(
        stream,
        force=True,  # a preamble is not required
        specific_tags=_PIXEL_ELEMENTS,
        stop_before_pixels=stop_before_pixels,
    )
    if len(dataset) == 0:  # pydicom drops everything when the file ends within an element
        raise EOFError
    if "Rows" not in dataset:
        raise _refusal("no_pixel_data", "a DICOM file that describes no pixels")
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little_endian = dataset.original_encoding
        explicit = "ExplicitVRLittleEndian" if little_endian else "ExplicitVRBigEndian"
        name = "ImplicitVRLittleEndian" if implicit else explicit
        dataset.file_meta.TransferSyntaxUID = getattr(pydicom.uid, name)
    return dataset


def _refuse_deflated(stream: io.BytesIO | mmap.mmap) -> None:
    """pydicom would inflate a deflated data set whatever its size turns out to be."""
    pydicom = _pydicom()
    stream.seek(132 if stream.read(132)[128:] == b"DICM" else 0)
    meta = pydicom.filereader.data_element_generator(
        stream, False, True, stop_when=lambda tag, vr, length: tag >> 16 != 2
    )
    deflated = pydicom.uid.DeflatedExplicitVRLittleEndian
    for element in meta:
        if element.tag == 0x00020010 and element.value.rstrip(b"\0 ") == deflated.encode():
            raise _refusal("unsupported_compression", deflated.name)
    stream.seek(0)


def _decoder(dataset: Any) -> Any:
    """pydicom's decoder for the transfer syntax of a film."""
    pydicom = _pydicom()
    syntax = dataset.file_meta.TransferSyntaxUID
    try:
        decoder = pydicom.pixels.get_decoder(syntax)
    except NotImplementedError:
        # A name from the dictionary of the standard; the header may hold anything.
        name = syntax.name if syntax.keyword else "an unknown transfer syntax"
        raise _refusal("unsupported_compression", name) from None
    twelve_bit = syntax == pydicom.uid.JPEGExtended12Bit and dataset.BitsStored > 8
    if not decoder.is_available or (twelve_bit and decoder.available_plugins == ("pillow",)):
        raise _refusal("unsupported_compression", f"{syntax.name}, which needs `python-gdcm`")
    return decoder


def _check_codestream(dataset: Any, limits: ImageLimits) -> None:
    """Compressed pixels declare a size of their own, and it is this one that gets decoded."""
    frame = _pydicom().encaps.get_frame(dataset.PixelData, 0, number_of_frames=1)
    if dataset.file_meta.TransferSyntaxUID == _pydicom().uid.RLELossless:
        _check_runs(frame, most=dataset.Rows * dataset.Columns + _LONGEST_RUN)
        return
    height, width, samples = _codestream_shape(frame)
    _check_size(height, width, limits)
    if (height, width, samples) != (dataset.Rows, dataset.Columns, dataset.SamplesPerPixel):
        raise ValueError("header and codestream disagree")


_LONGEST_RUN = 128
"""Bytes that one step of run-length encoding can make; devices that pad a segment add one step."""


def _check_runs(frame: bytes, *, most: int) -> None:
    """Run-length encoding declares no size: pydicom expands a segment before it looks.

    Args:
        most: bytes that a segment may become.

    Reference: DICOM PS3.5, G.3 (the runs), G.5 (the offsets of the segments).
    """
    segments, *starts = struct.unpack_from("<16L", frame)
    for start, end in pairwise([*starts[:segments], len(frame)]):
        segment = frame[start:end]
        position = expanded = 0
        while position < len(segment):
            step = segment[position]
            if step > 128:  # one byte, repeated
                position += 2
                expanded += 257 - step
            elif step < 128:  # bytes as they are
                position += 2 + step
                expanded += 1 + step
            else:  # nothing
                position += 1
            if expanded > most:
                raise ValueError("header and codestream disagree")


# Start of frame: 0xFFC0 to 0xFFCF but for tables (C4, CC) and an extension (C8); JPEG-LS: F7.
_FRAME_MARKERS = {*range(0xFFC0, 0xFFD0), 0xFFF7} - {0xFFC4, 0xFFC8, 0xFFCC}


def _codestream_shape(stream: bytes) -> tuple[int, int, int]:
    """(height, width, samples) declared by a JPEG, JPEG-LS or JPEG 2000 codestream."""
    if stream.startswith(b"\xff\x4f\xff\x51"):  # JPEG 2000: start of codestream, image size
        right, bottom, left, top = struct.unpack_from(">4I", stream, 8)
        return bottom - top, right - left, struct.unpack_from(">H", stream, 40)[0]
    if not stream.startswith(b"\xff\xd8"):
        raise ValueError("not a codestream")
    position = 2
    while True:
        marker, length = struct.unpack_from(">HH", stream, position)
        if marker in _FRAME_MARKERS:
            return struct.unpack_from(">HHB", stream, position + 5)
        position += 1 if marker == 0xFFFF else 2 + length  # a fill byte, or a segment


def _read_colour(stored: np.ndarray, dataset: Any) -> Radiograph:
    """Luma of an RGB film (the decoder has already turned YBR into RGB) or a palette."""
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        stored = _pydicom().pixels.apply_color_lut(stored, dataset)
    grey = cv2.cvtColor(stored, cv2.COLOR_RGB2GRAY)
    pixels = _stretch(grey) if grey.dtype == np.uint16 else grey
    return Radiograph(
        pixels=pixels,
        format="DICOM",
        bit_depth=int(dataset.BitsStored),
        colour=_colour(stored),
    )


def _read_grey(stored: np.ndarray, dataset: Any) -> Radiograph:
    """Modality LUT, then VOI LUT or window, then, for MONOCHROME1, one inversion.

    All of them depend on nothing but the stored value, so they are worked out once per
    value and looked up once per pixel.

    Reference: DICOM PS3.3, C.11.1 (modality LUT), C.11.2 (VOI LUT), C.7.6.3.1.2 (MONOCHROME1).
    """
    smallest, largest = int(stored.min()), int(stored.max())
    values = _apply_modality(np.arange(smallest, largest + 1), dataset)
    windowed = True
    if dataset.get("VOILUTSequence"):
        lut = dataset.VOILUTSequence[0]
        entries = _look_up(np.rint(values).astype(int), lut, dataset)
        levels = _to_grey_levels(entries, 0, 2 ** lut.LUTDescriptor[2] - 1)
    elif _has_window(dataset):
        window = _pydicom().pixels.apply_windowing
        darkest, brightest = window(np.array([-np.inf, np.inf]), dataset)
        levels = _to_grey_levels(window(values, dataset), darkest, brightest)
    else:
        windowed = False
        low, high = sorted(_apply_modality(np.array(_stored_range(stored, dataset)), dataset))
        levels = _to_grey_levels(values, low, high)
    inverted = dataset.PhotometricInterpretation == "MONOCHROME1"
    if inverted:
        levels = 255 - levels
    return Radiograph(
        pixels=levels[stored.astype(np.int32) - smallest],
        format="DICOM",
        bit_depth=int(dataset.BitsStored),
        windowed=windowed,
        inverted=inverted,
    )


def _apply_modality(stored: np.ndarray, dataset: Any) -> np.ndarray:
    if dataset.get("ModalityLUTSequence"):
        return _look_up(stored, dataset.ModalityLUTSequence[0], dataset)
    slope, intercept = dataset.get("RescaleSlope"), dataset.get("RescaleIntercept")
    return stored * float(slope or 1) + float(intercept or 0)


def _look_up(values: np.ndarray, lut: Any, dataset: Any) -> np.ndarray:
    """Entries of a LUT; values beyond either end take the entry at that end.

    Not pydicom's own: it wraps values above 255 around where entries have 8 bits.
    """
    length, first, _ = lut.LUTDescriptor
    entries = lut.LUTData
    if isinstance(entries, bytes):
        _, little_endian = dataset.original_encoding
        words = len(entries) >= 2 * (length or 65536)
        entries = np.frombuffer(entries, ("<u2" if little_endian else ">u2") if words else "u1")
    entries = np.asarray(entries)[: length or 65536]
    return entries[np.clip(values - first, 0, len(entries) - 1)]


def _has_window(dataset: Any) -> bool:
    """Some devices write an empty window, or one of no width: as good as none."""
    if dataset.get("WindowCenter") is None or dataset.get("WindowWidth") is None:
        return False
    width = np.atleast_1d(dataset.WindowWidth)[0]
    return width >= 1 if dataset.get("VOILUTFunction", "LINEAR") == "LINEAR" else width > 0


def _stored_range(stored: np.ndarray, dataset: Any) -> tuple[int, int]:
    """Stored values to show as black and white where the header brings no window."""
    bits = int(dataset.BitsStored)
    if bits > 8:
        return _significant_range(stored)
    lowest = -(2 ** (bits - 1)) if dataset.PixelRepresentation else 0
    return lowest, lowest + 2**bits - 1
