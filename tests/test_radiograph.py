"""Every format against pixels worked by hand, every refusal, and a storm of damaged files."""

import io
import logging
import pickle
import struct
import subprocess
import sys
import tracemalloc
import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from pydicom import uid

from pneumo import radiograph
from pneumo.radiograph import Radiograph, UnreadableRadiograph, measure, read, read_file
from pneumo.settings import ImageLimits
from tests.dicom_files import PATIENT, PATIENT_ID, dataset, encapsulated, lut, to_bytes

ORIGINALS = Path(__file__).resolve().parents[2] / "shared" / "chest_xray_full"
COPIES = ORIGINALS.with_name("chest_xray_224")

# Remarks on the damaged files here; pytest undoes the filters that the module installs.
pytestmark = [
    pytest.mark.filterwarnings(r"ignore::UserWarning:pydicom\..*"),
    pytest.mark.filterwarnings("ignore:Corrupt EXIF data"),
]


def ramp() -> np.ndarray:
    """uint8, shape (64, 96): a smooth film that every codec likes."""
    return np.add.outer(np.arange(64), np.arange(96)).astype(np.uint8)


def columns(*values: int, dtype: type = np.uint16) -> np.ndarray:
    """64 × 64, the given values in the first columns and the last of them in all others."""
    row = [*values, *[values[-1]] * (64 - len(values))]
    return np.tile(np.array(row, dtype), (64, 1))


def encode(pixels: np.ndarray, format: str, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format, **options)
    return stream.getvalue()


def refused(data: bytes, **limits: int) -> str:
    """The rule under which a file is refused."""
    with pytest.raises(UnreadableRadiograph) as refusal:
        read(data, limits=ImageLimits(**limits))
    assert "Received: " in str(refusal.value)
    assert str(refusal.value).endswith(".")
    return refusal.value.rule


# JPEG ----------------------------------------------------------------------------------


def test_grey_jpeg() -> None:
    film = read(encode(ramp(), "JPEG", quality=100))
    assert (film.format, film.bit_depth, film.windowed, film.inverted) == ("JPEG", 8, False, False)
    assert film.pixels.dtype == np.uint8
    assert np.abs(film.pixels.astype(int) - ramp()).max() <= 1


def test_colour_becomes_luma() -> None:
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 0] = 200
    # ITU-R 601: 0.299 × 200 = 59.8
    assert np.abs(read(encode(red, "JPEG", quality=100)).pixels.astype(int) - 60).max() <= 1
    assert (read(encode(red, "PNG")).pixels == 60).all()
    assert (read(to_bytes(dataset(red))).pixels == 60).all()


def test_how_colourful_a_file_was() -> None:
    # Half of it 200 grey levels apart, half grey: 100 on average.
    pixels = np.full((64, 64, 3), 50, np.uint8)
    pixels[:32] = (200, 100, 0)
    half = encode(pixels, "JPEG", quality=100)
    assert read(half).colour == pytest.approx(100, abs=2)
    assert read(encode(pixels, "PNG")).colour == 100
    assert read(to_bytes(dataset(pixels))).colour == 100
    _, deep = cv2.imencode(".png", pixels.astype(np.uint16) * 257)
    assert read(deep.tobytes()).colour == 100


def test_a_grey_file_has_no_colour_whatever_its_mode() -> None:
    grey = np.repeat(ramp()[..., np.newaxis], 3, axis=2)
    for format in ("JPEG", "PNG"):
        assert read(encode(ramp(), format)).colour == 0
        assert read(encode(grey, format)).colour == 0
    assert read(to_bytes(dataset(grey))).colour == 0
    assert read(encode(np.dstack([grey, ramp()]), "PNG")).colour == 0
    assert read(encode(columns(1, 2), "PNG")).colour == 0


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation: int, tmp_path: Path) -> None:
    upright = np.zeros((64, 96), np.uint8)
    upright[:32, :48] = 255  # bright in the upper left corner
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright),
        7: upright[::-1, ::-1].T,
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "film.jpeg"
    path.write_bytes(encode(np.ascontiguousarray(stored), "JPEG", exif=exif))
    film = read_file(path)
    assert measure(path) == film.pixels.shape == (64, 96)
    assert film.pixels[8, 8] > 250
    assert film.pixels[56, 8] < 5 and film.pixels[8, 88] < 5


def test_damaged_exif_is_ignored() -> None:
    exif = b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"
    whole = encode(ramp(), "JPEG")
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    assert read(whole[:2] + segment + whole[2:]).pixels.shape == (64, 96)


@pytest.mark.parametrize("progressive", [False, True])
def test_truncated_jpeg_is_refused(progressive: bool) -> None:
    whole = encode(ramp(), "JPEG", progressive=progressive)
    for share in (0.05, 0.5, 0.9):
        assert refused(whole[: int(share * len(whole))]) == "truncated"
    assert refused(whole[:-2]) == "truncated"


def test_bytes_after_the_end_do_no_harm() -> None:
    for format in ("JPEG", "PNG"):
        whole = encode(ramp(), format)
        assert (read(whole + b"scanner model 3\0").pixels == read(whole).pixels).all()


# PNG -----------------------------------------------------------------------------------


def test_png_is_read_unchanged() -> None:
    film = read(encode(ramp(), "PNG"))
    assert (film.format, film.bit_depth) == ("PNG", 8)
    assert (film.pixels == ramp()).all()
    one_bit = read(encode(ramp() > 80, "PNG"))
    assert one_bit.bit_depth == 1
    assert (one_bit.pixels == np.where(ramp() > 80, 255, 0)).all()


def test_16_bit_png_is_stretched_over_the_values_that_occur() -> None:
    # A 12-bit film in 16-bit words: 1000 is black and 3000 white, so 2000 is
    # 255 × (2000 - 1000) / (3000 - 1000) = 127.5, and rounds to the even 128.
    film = read(encode(columns(1000, 2000, 3000), "PNG"))
    assert film.bit_depth == 16
    assert film.pixels[0, :3].tolist() == [0, 128, 255]
    # Over the full range it is the ordinary conversion: 257 × 100 is grey level 100.
    assert read(encode(columns(0, 25700, 65535), "PNG")).pixels[0, :3].tolist() == [0, 100, 255]


def test_a_dead_pixel_does_not_set_the_scale() -> None:
    pixels = columns(1000, 2000, 3000)
    pixels[0, 0] = 65535  # 1 of 4096 is less than 0.1 %
    assert read(encode(pixels, "PNG")).pixels[1, :3].tolist() == [0, 128, 255]


def test_transparency_lies_over_black() -> None:
    pixels = np.full((64, 64, 4), 200, np.uint8)
    pixels[..., 3] = 255
    pixels[:, :32, 3] = 0
    pixels[0, 0, 3] = 102  # 200 × 102 / 255 = 80
    grey = read(encode(pixels, "PNG")).pixels
    assert (grey[0, 0], grey[5, 5], grey[5, 40]) == (80, 0, 200)


def test_16_bit_colour_and_transparency() -> None:
    pixels = np.repeat(columns(0, 20000, 40000)[..., None], 4, axis=2)
    pixels[..., 3] = 65535
    pixels[:, 3, 3] = 32768  # half of 40000 is 20000: 255 × 20000 / 40000 = 127.5
    data = cv2.imencode(".png", pixels)[1].tobytes()
    assert read(data).pixels[0, :5].tolist() == [0, 128, 255, 128, 255]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_truncated_png_is_refused(dtype: type) -> None:
    whole = encode(ramp().astype(dtype), "PNG")
    for length in (30, len(whole) // 2, len(whole) - 12, len(whole) - 2):
        assert refused(whole[:length]) == "truncated"


# DICOM: grey levels --------------------------------------------------------------------


def test_8_bit_dicom_without_window_is_unchanged() -> None:
    film = read(to_bytes(dataset(ramp())))
    assert (film.format, film.bit_depth, film.windowed, film.inverted) == ("DICOM", 8, False, False)
    assert (film.pixels == ramp()).all()
    signed = (ramp().astype(int) - 128).astype(np.int8)
    assert (read(to_bytes(dataset(signed))).pixels == ramp()).all()


def test_deep_dicom_without_window_is_stretched() -> None:
    # 255 × (500 - 100) / (1100 - 100) = 102
    film = read(to_bytes(dataset(columns(100, 500, 1100), BitsStored=12)))
    assert (film.bit_depth, film.windowed) == (12, False)
    assert film.pixels[0, :3].tolist() == [0, 102, 255]
    signed = columns(-500, -100, 500, dtype=np.int16)
    assert read(to_bytes(dataset(signed))).pixels[0, :3].tolist() == [0, 102, 255]


def test_window() -> None:
    # LINEAR: ((x - (c - 0.5)) / (w - 1) + 0.5) × 255 with c = 2048, w = 2049:
    # 1023 is below 2047.5 - 1024 = 1023.5; 2048: (0.5 / 2048 + 0.5) × 255 = 127.56;
    # 2560: (512.5 / 2048 + 0.5) × 255 = 191.3; 3072 is above 3071.5.
    pixels = columns(0, 1023, 2048, 2560, 3072, 4095)
    film = read(to_bytes(dataset(pixels, BitsStored=12, WindowCenter=2048, WindowWidth=2049)))
    assert film.windowed
    assert film.pixels[0, :6].tolist() == [0, 0, 128, 191, 255, 255]


def test_first_of_several_windows() -> None:
    film = dataset(columns(0, 50, 100), WindowCenter=[50.5, 900], WindowWidth=[101, 10])
    # c - 0.5 = 50, w - 1 = 100: 50 is the middle, 127.5
    assert read(to_bytes(film)).pixels[0, :3].tolist() == [0, 128, 255]


def test_window_functions() -> None:
    film = dataset(columns(0, 1000, 1500, 2000), WindowCenter=1000, WindowWidth=2000)
    film.VOILUTFunction = "LINEAR_EXACT"  # ((x - c) / w + 0.5) × 255
    assert read(to_bytes(film)).pixels[0, :4].tolist() == [0, 128, 191, 255]
    film.VOILUTFunction = "SIGMOID"  # 255 / (1 + exp(-4 (x - c) / w)); exp(2) = 7.389
    assert read(to_bytes(film)).pixels[0, :4].tolist() == [30, 128, 186, 225]


@pytest.mark.parametrize("width", [None, 0, ""])
def test_a_window_without_width_is_no_window(width: int | None) -> None:
    film = dataset(columns(100, 500, 1100), WindowCenter=400, WindowWidth=width)
    assert read(to_bytes(film)).pixels[0, :3].tolist() == [0, 102, 255]


def test_rescale_comes_before_the_window() -> None:
    # 2 × x - 100: 100, 300, 500; the window from 100 to 500 (c - 0.5 = 300, w - 1 = 400)
    film = dataset(columns(100, 200, 300), WindowCenter=300.5, WindowWidth=401)
    film.RescaleSlope, film.RescaleIntercept = 2, -100
    assert read(to_bytes(film)).pixels[0, :3].tolist() == [0, 128, 255]


def test_negative_slope_without_window() -> None:
    film = dataset(columns(100, 500, 1100), RescaleSlope=-1, RescaleIntercept=0)
    assert read(to_bytes(film)).pixels[0, :3].tolist() == [255, 153, 0]  # 255 - 102


def test_modality_lut_comes_before_the_window() -> None:
    # First value mapped 10: 9 and 10 → 0, 11 → 40, 12 and beyond → 80;
    # the window from 0 to 80 (c - 0.5 = 40, w - 1 = 80).
    film = dataset(columns(9, 10, 11, 12, 60), WindowCenter=40.5, WindowWidth=81)
    film.ModalityLUTSequence = [lut(10, 16, [0, 40, 80])]
    assert read(to_bytes(film)).pixels[0, :5].tolist() == [0, 0, 128, 255, 255]


def test_voi_lut() -> None:
    film = dataset(columns(0, 1, 2, 3), BitsStored=12, RescaleSlope=1, RescaleIntercept=0)
    film.VOILUTSequence = [lut(1, 10, [0, 341, 1023])]  # 255 × 341 / 1023 = 85
    film.WindowCenter, film.WindowWidth = 2, 2  # the LUT takes precedence
    read_film = read(to_bytes(film))
    assert read_film.windowed
    assert read_film.pixels[0, :4].tolist() == [0, 0, 85, 255]


def test_voi_lut_of_8_bits_with_more_than_256_entries() -> None:
    film = dataset(columns(0, 1600, 4095), BitsStored=12)
    film.VOILUTSequence = [lut(0, 8, [value // 16 for value in range(4096)])]
    assert read(to_bytes(film)).pixels[0, :3].tolist() == [0, 100, 255]


def test_monochrome1_is_inverted_once_after_the_window() -> None:
    # The window from 100 to 500: 200 → 255 × 100 / 400 = 63.75 → 64 → 255 - 64 = 191.
    # Inverted before the window, 200 would be 4000 - 200 = 3800, and white.
    pixels = columns(0, 100, 200, 500, 4000)
    window = {"WindowCenter": 300.5, "WindowWidth": 401}
    film = read(to_bytes(dataset(pixels, PhotometricInterpretation="MONOCHROME1", **window)))
    assert film.inverted and film.windowed
    assert film.pixels[0, :5].tolist() == [255, 255, 191, 0, 0]


def test_monochrome1_without_window() -> None:
    film = dataset(ramp(), PhotometricInterpretation="MONOCHROME1")
    assert (read(to_bytes(film)).pixels == 255 - ramp()).all()


def test_a_film_says_how_it_was_read() -> None:
    deep = columns(0, 1, 2)
    stretched = "no window in the file, stretched from its 0.1st to its 99.9th percentile"
    for data, words in (
        (encode(ramp(), "PNG"), "PNG, 8 bit"),
        (encode(deep, "PNG"), f"PNG, 16 bit, {stretched}"),
        (to_bytes(dataset(deep, BitsStored=12)), f"DICOM, 12 bit, {stretched}"),
        (
            to_bytes(dataset(deep, WindowCenter=2, WindowWidth=2)),
            "DICOM, 16 bit, windowed",
        ),
        (
            to_bytes(dataset(ramp(), PhotometricInterpretation="MONOCHROME1")),
            "DICOM, 8 bit, inverted from MONOCHROME1",
        ),
    ):
        film = read(data)
        height, width = film.shape
        assert film.description == f"{width} × {height} pixels, {words}"
    large = np.zeros((2000, 1600), np.uint8)
    small = read(encode(large, "JPEG"), model_size=224)
    assert small.description == "1,600 × 2,000 pixels, JPEG, 8 bit", "as in the file"


def test_palette() -> None:
    film = dataset(columns(0, 1, 2, dtype=np.uint8), PhotometricInterpretation="PALETTE COLOR")
    red, other = [0, 200, 255, 255], [0, 0, 255, 255]  # luma of (200, 0, 0) is 60
    for colour, entries in (("Red", red), ("Green", other), ("Blue", other)):
        setattr(film, f"{colour}PaletteColorLookupTableDescriptor", [4, 0, 8])
        setattr(film, f"{colour}PaletteColorLookupTableData", bytes(entries))
    assert read(to_bytes(film)).pixels[0, :3].tolist() == [0, 60, 255]


# DICOM: encodings ----------------------------------------------------------------------


@pytest.mark.parametrize("pixels", [ramp(), ramp().astype(np.uint16) * 16], ids=["8", "12"])
@pytest.mark.parametrize(
    "syntax", [uid.RLELossless, uid.JPEGLSLossless, uid.JPEG2000Lossless], ids=lambda u: u.keyword
)
def test_lossless_compression(syntax: uid.UID, pixels: np.ndarray) -> None:
    depth = {"BitsStored": 12} if pixels.dtype == np.uint16 else {}
    film = dataset(pixels, **depth)
    expected = read(to_bytes(film)).pixels
    film.compress(syntax)
    whole = to_bytes(film)
    assert (read(whole).pixels == expected).all()
    assert refused(whole[: int(0.7 * len(whole))]) == "truncated"


@pytest.mark.parametrize("syntax", [uid.JPEGLSLossless, uid.JPEG2000Lossless])
def test_signed_pixels_survive_compression(syntax: uid.UID) -> None:
    film = dataset((ramp().astype(np.int16) - 100) * 8)
    expected = read(to_bytes(film)).pixels
    film.compress(syntax)
    assert (read(to_bytes(film)).pixels == expected).all()


def test_baseline_jpeg_in_dicom() -> None:
    jpeg = encode(ramp(), "JPEG", quality=100)
    film = encapsulated(dataset(ramp()), jpeg, uid.JPEGBaseline8Bit)
    assert np.abs(read(to_bytes(film)).pixels.astype(int) - ramp()).max() <= 1
    cut = encapsulated(dataset(ramp()), jpeg[: len(jpeg) // 2], uid.JPEGBaseline8Bit)
    assert refused(to_bytes(cut)) == "truncated"


def test_colour_jpeg_in_dicom() -> None:
    colour = np.repeat(ramp()[..., None], 3, axis=2)
    film = dataset(colour, PhotometricInterpretation="YBR_FULL_422")
    film = encapsulated(film, encode(colour, "JPEG", quality=100), uid.JPEGBaseline8Bit)
    assert np.abs(read(to_bytes(film)).pixels.astype(int) - ramp()).max() <= 2


def test_dicom_without_preamble() -> None:
    whole = to_bytes(dataset(ramp()))
    without_meta = whole[whole.index(b"\x08\0\x16\0UI") :]
    for data in (whole[132:], without_meta):
        assert (read(data).pixels == ramp()).all()


def test_implicit_dicom() -> None:
    film = dataset(ramp())
    film.file_meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian
    stream = io.BytesIO()
    film.save_as(stream, implicit_vr=True, little_endian=True)
    assert (read(stream.getvalue()).pixels == ramp()).all()


def test_the_name_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "film.dcm"
    path.write_bytes(encode(ramp(), "PNG"))
    assert read_file(path).format == "PNG"
    path.write_bytes(to_bytes(dataset(ramp())))
    assert read_file(path.rename(tmp_path / "film.jpeg")).format == "DICOM"


# Refusals ------------------------------------------------------------------------------


def png_claiming(width: int, height: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def jpeg_claiming(width: int, height: int) -> bytes:
    data = bytearray(encode(ramp(), "JPEG"))
    struct.pack_into(">HH", data, data.index(b"\xff\xc0") + 5, height, width)
    return bytes(data)


def jpeg2000_claiming(width: int, height: int) -> bytes:
    film = dataset(ramp())
    film.compress(uid.JPEG2000Lossless)
    data = bytearray(to_bytes(film))
    struct.pack_into(">II", data, data.index(b"\xff\x4f\xff\x51") + 8, width, height)
    return bytes(data)


def test_empty() -> None:
    assert refused(b"") == "empty"


@pytest.mark.parametrize(
    "data",
    [b"\0", b"hello", bytes(1000), encode(ramp(), "GIF"), encode(ramp(), "TIFF")],
    ids=["one byte", "text", "zeros", "gif", "tiff"],
)
def test_not_an_image(data: bytes) -> None:
    assert refused(data) == "not_an_image"


def test_too_large(tmp_path: Path) -> None:
    data = encode(ramp(), "PNG")
    path = tmp_path / "film.png"
    path.write_bytes(data)
    read_file(path, limits=ImageLimits(max_bytes=len(data)))
    assert refused(data, max_bytes=len(data) - 1) == "too_large"
    with pytest.raises(UnreadableRadiograph, match=f"at most {len(data) - 1} bytes"):
        read_file(path, limits=ImageLimits(max_bytes=len(data) - 1))


@pytest.mark.parametrize("shape", [(63, 200), (200, 63)])
def test_too_small(shape: tuple[int, int]) -> None:
    pixels = np.zeros(shape, np.uint8)
    for data in (encode(pixels, "JPEG"), encode(pixels, "PNG"), to_bytes(dataset(pixels))):
        assert refused(data) == "too_small"


@pytest.mark.parametrize("claiming", [png_claiming, jpeg_claiming, jpeg2000_claiming])
def test_decompression_bomb(claiming) -> None:  # noqa: ANN001
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert refused(claiming(50_000, 50_000)) == "decompression_bomb"
        assert refused(claiming(12_000, 8_000)) == "decompression_bomb"  # Pillow only warns


def test_decompression_bomb_in_the_dicom_header() -> None:
    assert refused(to_bytes(dataset(ramp(), Rows=50_000, Columns=50_000))) == "decompression_bomb"


def run_length_encoded(*runs: bytes) -> bytes:
    """A black film of 64 × 96 pixels, 48 runs of 128, with further runs behind them."""
    black = b"\x81\0" * 48
    stream = struct.pack("<16L", 1, 64, *[0] * 14) + black + b"".join(runs)
    return to_bytes(encapsulated(dataset(ramp()), stream, uid.RLELossless))


def test_decompression_bomb_in_the_runs_of_a_dicom_film() -> None:
    for padding in (b"", b"\x81\0", b"\0\0", b"\x80\x80"):  # as some devices write it
        assert (read(run_length_encoded(padding)).pixels == 0).all()
    assert refused(run_length_encoded(b"\x81\0" * 2)) == "truncated"
    bomb = run_length_encoded(b"\x81\0" * 500_000)  # 64 MB, of which pydicom would keep 6 kB
    tracemalloc.start()
    assert refused(bomb) == "truncated"
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20e6


def test_pixels_up_to_the_limit_are_read() -> None:
    assert read(encode(ramp(), "PNG"), limits=ImageLimits(max_pixels=64 * 96)).format == "PNG"
    assert refused(encode(ramp(), "PNG"), max_pixels=64 * 96 - 1) == "decompression_bomb"


def test_header_and_codestream_must_agree() -> None:
    film = encapsulated(dataset(ramp(), Rows=80), encode(ramp(), "JPEG"), uid.JPEGBaseline8Bit)
    assert refused(to_bytes(film)) == "truncated"


def test_several_frames() -> None:
    frames = [Image.fromarray(ramp()), Image.fromarray(255 - ramp())]
    stream = io.BytesIO()
    frames[0].save(stream, "PNG", save_all=True, append_images=frames[1:])
    assert refused(stream.getvalue()) == "multi_frame"
    film = dataset(ramp(), NumberOfFrames=2)
    film.PixelData *= 2
    assert refused(to_bytes(film)) == "multi_frame"
    assert read(to_bytes(dataset(ramp(), NumberOfFrames=1))).format == "DICOM"


def test_no_pixel_data() -> None:
    film = dataset(ramp())
    del film.PixelData
    assert refused(to_bytes(film)) == "no_pixel_data"
    del film.Rows  # as in a report
    assert refused(to_bytes(film)) == "no_pixel_data"


def test_truncated_dicom() -> None:
    whole = to_bytes(dataset(ramp()))
    for length in (140, len(whole) - 3000, len(whole) - 1):
        assert refused(whole[:length]) == "truncated"


@pytest.mark.parametrize(
    "syntax", [uid.MPEG2MPML, uid.UID("1.2.3.4"), uid.DeflatedExplicitVRLittleEndian]
)
def test_unsupported_compression(syntax: uid.UID) -> None:
    if syntax == uid.DeflatedExplicitVRLittleEndian:
        film = dataset(ramp())
        film.file_meta.TransferSyntaxUID = syntax
    else:
        film = encapsulated(dataset(ramp()), encode(ramp(), "JPEG"), syntax)
    assert refused(to_bytes(film)) == "unsupported_compression"


def test_missing_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    from pydicom.pixels import get_decoder

    film = dataset(ramp())
    film.compress(uid.JPEGLSLossless)
    monkeypatch.setattr(get_decoder(uid.JPEGLSLossless), "_available", {})
    assert refused(to_bytes(film)) == "unsupported_compression"


def test_unsupported_pixels() -> None:
    colour = np.repeat(ramp()[..., None], 3, axis=2)
    assert refused(to_bytes(dataset(colour, PhotometricInterpretation="HSV"))) == (
        "unsupported_pixels"
    )
    film = dataset(ramp().astype(np.uint32))
    assert refused(to_bytes(film)) == "unsupported_pixels"


def test_a_refusal_survives_pickling() -> None:
    refusal = pickle.loads(pickle.dumps(UnreadableRadiograph("empty", "Nothing there.")))
    assert (refusal.rule, str(refusal)) == ("empty", "Nothing there.")


def damaged(whole: bytes, random: np.random.Generator) -> bytes:
    data = bytearray(whole)
    if random.random() < 0.3:
        return bytes(data[: random.integers(len(data))])
    reach = len(data) if random.random() < 0.5 else min(len(data), 1000)  # half in the header
    for position in random.integers(reach, size=random.integers(1, 6)):
        data[position] = random.integers(256)
    return bytes(data)


def every_format() -> dict[str, bytes]:
    deep = ramp().astype(np.uint16) * 16
    files = {
        "jpeg": encode(ramp(), "JPEG"),
        "png": encode(ramp(), "PNG"),
        "deep png": encode(deep, "PNG"),
        "dicom": to_bytes(dataset(deep, BitsStored=12, VOILUTSequence=[lut(0, 8, [0, 1, 2])])),
        "windowed dicom": to_bytes(dataset(deep, WindowCenter=900, WindowWidth=900)),
        "jpeg dicom": to_bytes(
            encapsulated(dataset(ramp()), encode(ramp(), "JPEG"), uid.JPEGBaseline8Bit)
        ),
    }
    for syntax in (uid.RLELossless, uid.JPEGLSLossless, uid.JPEG2000Lossless):
        film = dataset(deep, BitsStored=12)
        film.compress(syntax)
        files[syntax.keyword] = to_bytes(film)
    return files


@pytest.mark.parametrize(("name", "whole"), every_format().items(), ids=every_format())
def test_damaged_files_are_read_or_refused_and_nothing_else(
    name: str, whole: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(len(name))
    path = tmp_path / "film"
    outcomes = set()
    for _ in range(150):
        path.write_bytes(damaged(whole, random))
        try:
            film = read_file(path, limits=ImageLimits(max_pixels=1_000_000))
            outcomes.add("read")
            assert film.pixels.dtype == np.uint8 and film.pixels.ndim == 2
            assert measure(path) == film.pixels.shape
        except UnreadableRadiograph as refusal:
            outcomes.add(refusal.rule)
            assert PATIENT not in str(refusal)
    assert "truncated" in outcomes
    assert "libpng" not in capfd.readouterr().err


# Identifiers ---------------------------------------------------------------------------


def test_identifiers_never_leave_the_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    film = dataset(ramp().astype(np.uint16), WindowCenter=500, WindowWidth=900)
    whole = to_bytes(film)
    film.file_meta.TransferSyntaxUID = uid.UID(PATIENT_ID)
    unknown_syntax = io.BytesIO()
    film.save_as(unknown_syntax, implicit_vr=False, little_endian=True)
    files = [
        whole,
        whole[: len(whole) // 2],
        whole[:300],
        whole.replace(b"500 ", PATIENT_ID[:4].encode()),  # a window that is not a number
        whole.replace(b"MONOCHROME2 ", PATIENT_ID.ljust(12)[:12].encode()),
        whole.replace(b"\x10\0\x10\0PN", b"\x10\0\x10\0UL"),  # a name that is not a number
        whole.replace(b"\x10\0\x10\0PN", b"\x28\0\x10\0US"),  # a name as the height
        unknown_syntax.getvalue(),
        *(to_bytes(dataset(ramp(), NumberOfFrames=2)), to_bytes(dataset(ramp()[:20]))),
    ]
    said = []
    with warnings.catch_warnings(record=True) as caught, caplog.at_level(logging.DEBUG):
        warnings.simplefilter("always")
        for data in files:
            path = tmp_path / f"{PATIENT}.dcm"
            path.write_bytes(data)
            for action in (read_file, measure):
                try:
                    said.append(repr(action(path)))
                except UnreadableRadiograph as refusal:
                    said += [str(refusal), repr(refusal)]
    assert len(said) > len(files)
    said += [str(warning.message) for warning in caught]
    said += [caplog.text, *capfd.readouterr()]
    for identifier in (PATIENT, "Merriweather", PATIENT_ID, "19030609"):
        assert identifier.encode() in whole or identifier in str(path)
        assert not [text for text in said if identifier in text]


# measure, to_model_input ---------------------------------------------------------------


def test_measure_reads_the_header_only(tmp_path: Path) -> None:
    path = tmp_path / "film"
    whole = to_bytes(dataset(ramp()))
    files = {"JPEG": encode(ramp(), "JPEG"), "PNG": encode(ramp(), "PNG"), "DICOM": whole}
    for format, data in files.items():
        path.write_bytes(data)
        assert measure(path) == (64, 96)
        path.write_bytes(data[:-10])
        assert measure(path) == (64, 96), format


@pytest.mark.parametrize("data", [b"", b"text", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", bytes(140)])
def test_measure_refuses(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "film"
    path.write_bytes(data)
    with pytest.raises(UnreadableRadiograph):
        measure(path)


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    for action in (read_file, measure):
        with pytest.raises(FileNotFoundError):
            action(tmp_path / "nothing.jpeg")


def film_of(pixels: np.ndarray) -> Radiograph:
    return Radiograph(pixels=pixels, format="PNG", bit_depth=8)


def test_model_input_at_the_right_size_is_unchanged() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (224, 224), np.uint8)
    assert (radiograph.to_model_input(film_of(pixels)) == pixels).all()


def test_model_input_squeezes() -> None:
    pixels = np.zeros((300, 900), np.uint8)
    pixels[:, 450:] = 200  # the right half, whatever the aspect ratio
    squeezed = radiograph.to_model_input(film_of(pixels), size=100)
    assert (squeezed.shape, squeezed.dtype) == ((100, 100), np.uint8)
    assert (squeezed[:, :48] == 0).all() and (squeezed[:, 52:] == 200).all()


def test_model_input_is_anti_aliased() -> None:
    checkerboard = np.indices((1792, 1792)).sum(axis=0) % 2 * 255
    squeezed = radiograph.to_model_input(film_of(checkerboard.astype(np.uint8)))
    assert squeezed.min() >= 127 and squeezed.max() <= 128


def test_model_input_enlarges_linearly() -> None:
    pixels = np.tile(np.repeat([0, 100], 64).astype(np.uint8), (128, 1))
    enlarged = radiograph.to_model_input(film_of(pixels), size=256)
    # Samples lie a quarter of a pixel off the stored ones: 25 and 75 at the edge.
    assert enlarged[0, 125:131].tolist() == [0, 0, 25, 75, 100, 100]


# read for a model ----------------------------------------------------------------------


def wide_ramp(height: int, width: int) -> np.ndarray:
    """uint8: from left to right 0 to 200."""
    return np.tile(np.linspace(0, 200, width).round().astype(np.uint8), (height, 1))


@pytest.mark.parametrize(
    ("height", "width", "decoded"),
    [
        (895, 3000, (895, 3000)),  # half of 895 is less than twice 224
        (896, 3000, (448, 1500)),
        (901, 1801, (451, 901)),  # what is cut in half rounds up
        (1791, 1792, (896, 896)),
        (1792, 1792, (448, 448)),
    ],
)
def test_a_jpeg_keeps_twice_what_the_model_sees(
    height: int, width: int, decoded: tuple[int, int]
) -> None:
    data = encode(wide_ramp(height, width), "JPEG", quality=95)
    whole, film = read(data), read(data, model_size=224)
    assert film.pixels.shape == decoded
    assert film.shape == whole.shape == (height, width)
    assert whole.reduced_from is None
    assert film.reduced_from == (None if decoded == (height, width) else (height, width))
    difference = radiograph.to_model_input(film).astype(int) - radiograph.to_model_input(whole)
    assert np.abs(difference).max() <= 1


def test_a_reduced_jpeg_is_upright_and_says_how_large_it_was() -> None:
    orientation = Image.Exif()
    orientation[0x0112] = 6  # to be turned clockwise
    data = encode(wide_ramp(200, 300), "JPEG", exif=orientation)
    film = read(data, model_size=50)
    assert (film.pixels.shape, film.shape) == ((150, 100), (300, 200))
    assert film.pixels[0].max() < 5 and film.pixels[-1].min() > 195


def test_only_jpegs_are_reduced_and_colour_is_told_all_the_same() -> None:
    grey = wide_ramp(300, 300)
    for data in (encode(grey, "PNG"), to_bytes(dataset(grey))):
        film = read(data, model_size=50)
        assert film.shape == film.pixels.shape == (300, 300)
    red = np.zeros((300, 300, 3), np.uint8)
    red[..., 0] = 200
    data = encode(red, "JPEG")
    film = read(data, model_size=50)
    assert film.pixels.shape == (150, 150)
    assert film.colour == read(data).colour > 190


def test_a_file_is_read_for_a_model_as_its_bytes_are(tmp_path: Path) -> None:
    path = tmp_path / "film.jpeg"
    path.write_bytes(encode(wide_ramp(300, 300), "JPEG"))
    assert read_file(path, model_size=50).shape == (300, 300)
    assert read_file(path, model_size=50).pixels.shape == (150, 150)


def test_limits_hold_for_the_film_in_the_file() -> None:
    data = encode(wide_ramp(300, 300), "JPEG")
    with pytest.raises(UnreadableRadiograph, match="300 × 300"):
        read(data, limits=ImageLimits(max_pixels=89_999), model_size=50)


@pytest.mark.skipif(not ORIGINALS.exists(), reason="real films lie beside the checkout only")
def test_model_input_resembles_the_224_pixel_copies() -> None:
    paths = sorted(ORIGINALS.rglob("*.jpeg"))[::8]
    differences = []
    for path in paths:
        film = read_file(path, model_size=224)
        assert measure(path) == film.shape
        copy = read_file(COPIES / path.relative_to(ORIGINALS)).pixels
        differences.append(np.abs(radiograph.to_model_input(film).astype(int) - copy).mean())
    assert np.mean(differences) < 2.4  # grey levels; by area it would be 2.5


def test_importing_leaves_pydicom_alone() -> None:
    check = "import sys, pneumo.radiograph; sys.exit('pydicom' in sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True, cwd=Path(__file__).parents[1])
