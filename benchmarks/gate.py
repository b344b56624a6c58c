"""What the gate of a model flags: foreign images, transformed radiographs, validation films.

    pip install --no-deps scikit-image matplotlib nibabel dipy mahotas PyWavelets pynetdicom
    python -m benchmarks.gate --model mobilenetv2 --data DIR

The foreign images are those that packages bring along for their own examples and tests, and some
that are drawn here; nothing is downloaded or kept. A package that is not installed is left out,
and said to be. Images that cannot be read as a radiograph are never answered, and not counted.
"""

import argparse
import dataclasses
import gzip
import importlib.util
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pneumo import radiograph, settings
from pneumo.datasets import catalog
from pneumo.evaluation import stress
from pneumo.inference import bundle
from pneumo.inference.predictor import Predictor
from pneumo.inference.scoring import rows_of_split
from pneumo.radiograph import Radiograph, UnreadableRadiograph

FILMS = 200
"""Validation films to transform."""


@dataclass(frozen=True, kw_only=True)
class Files:
    """Images of one kind that a package brings along.

    Attributes:
        package: its folder of modules, and the folder of the images within.
        licence: of the images, or of the package where they have none of their own.
    """

    kind: str
    package: str
    licence: str
    folder: str
    names: tuple[str, ...]


PHOTOGRAPHS = (
    Files(
        kind="Photographs",
        package="skimage",
        licence="public domain, CC0",
        folder="data",
        names=(
            *("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "hubble_deep_field.jpg"),
            *("motorcycle_left.png", "motorcycle_right.png"),
        ),
    ),
    Files(
        kind="Photographs",
        package="sklearn",
        licence="CC BY 2.0",
        folder="datasets/images",
        names=("china.jpg", "flower.jpg"),
    ),
    Files(
        kind="Photographs",
        package="matplotlib",
        licence="public domain",
        folder="mpl-data/sample_data",
        names=("grace_hopper.jpg",),
    ),
    Files(
        kind="Photographs",
        package="mahotas",
        licence="MIT",
        folder="demos/data",
        names=("DepartmentStore.jpg", "luispedro.jpg"),
    ),
    Files(
        kind="Microscopy, retina",
        package="skimage",
        licence="public domain, CC0",
        folder="data",
        names=("ihc.png", "retina.jpg"),
    ),
)
"""In colour; measured made grey too, since colour alone gives them away."""

OTHERS = (
    Files(
        kind="Grey photographs",
        package="skimage",
        licence="public domain, CC0",
        folder="data",
        names=(
            *("camera.png", "coins.png", "moon.png", "brick.png", "grass.png", "gravel.png"),
            "clock_motion.png",
        ),
    ),
    Files(
        kind="Microscopy, retina",
        package="skimage",
        licence="public domain, CC0",
        folder="data",
        names=("cell.png", "microaneurysms.png"),
    ),
    Files(
        kind="Microscopy, retina",
        package="mahotas",
        licence="MIT",
        folder="demos/data",
        names=("nuclear.png",),
    ),
    Files(
        kind="Pages, drawings",
        package="skimage",
        licence="public domain, CC0, BSD",
        folder="data",
        names=("page.png", "text.png", "horse.png", "logo.png", "phantom.png"),
    ),
    Files(
        kind="Pages, drawings",
        package="matplotlib",
        licence="PSF",
        folder="mpl-data/sample_data",
        names=("logo2.png", "Minduka_Present_Blue_Pack.png"),
    ),
    Files(
        kind="CT",
        package="pydicom",
        licence="MIT",
        folder="data/test_files",
        names=("CT_small.dcm", "693_J2KI.dcm", "J2K_pixelrep_mismatch.dcm"),
    ),
    Files(
        kind="MR",
        package="pydicom",
        licence="MIT",
        folder="data/test_files",
        names=("MR_small.dcm", "examples_overlay.dcm"),
    ),
    Files(
        kind="MR",
        package="nibabel",
        licence="MIT",
        folder="nicom/tests/data",
        names=(
            *("0.dcm", "1.dcm", "decimal_rescale.dcm", "slicethickness_empty_string.dcm"),
            *("philips_mprage.dcm.gz", "siemens_dwi_0.dcm.gz", "siemens_dwi_1000.dcm.gz"),
        ),
    ),
    Files(
        kind="Ultrasound",
        package="pydicom",
        licence="MIT",
        folder="data/test_files",
        names=("examples_jpeg2k.dcm", "examples_palette.dcm", "examples_rgb_color.dcm"),
    ),
    Files(
        kind="Nuclear medicine",
        package="pydicom",
        licence="MIT",
        folder="data/test_files",
        names=("JPEG2000.dcm", "JPGExtended.dcm", "JPEG-lossy.dcm"),
    ),
    Files(
        kind="Test patterns",
        package="pydicom",
        licence="MIT",
        folder="data/test_files",
        names=("SC_rgb_rle.dcm", "SC_rgb_jpeg_gdcm.dcm", "GDCMJ2K_TextGBR.dcm"),
    ),
    Files(
        kind="Portal image of a linac",
        package="pynetdicom",
        licence="MIT",
        folder="tests/dicom_files",
        names=("RTImageStorage.dcm",),
    ),
    Files(
        kind="Screenshots",
        package="",
        licence="our own",
        folder="docs",
        names=(
            *("browse.png", "browse-phone.png", "models.png", "models-phone.png"),
            *("predict.png", "predict-phone.png", "train.png", "train-phone.png"),
            *("train-live.png", "browse-film.png", "browse-film-phone.png"),
        ),
    ),
)


@dataclass(frozen=True, kw_only=True)
class Foreign:
    """One image that is no chest radiograph."""

    kind: str
    source: str
    licence: str
    name: str
    radiograph: Radiograph


# Packages ------------------------------------------------------------------------------


def folder_of(package: str) -> Path | None:
    """Where a package lies, without importing it; None where it is not installed."""
    if not package:
        return settings.REPOSITORY
    found = importlib.util.find_spec(package)
    return Path(found.origin).parent if found and found.origin else None


def read_all(files: Files, *, grey: bool = False) -> Iterator[Foreign]:
    folder = folder_of(files.package)
    for name in files.names if folder else ():
        path = folder / files.folder / name
        try:
            content = (
                gzip.decompress(path.read_bytes()) if name.endswith(".gz") else path.read_bytes()
            )
            film = radiograph.read(content)
        except (UnreadableRadiograph, FileNotFoundError) as reason:
            print(f"left out: {files.package} {name}: {reason}")
            continue
        yield Foreign(
            kind=f"{files.kind}, made grey" if grey else files.kind,
            source=files.package or "docs/",
            licence=files.licence,
            name=name,
            radiograph=dataclasses.replace(film, colour=0.0) if grey else film,
        )


def as_film(levels: np.ndarray) -> Radiograph:
    """Numbers of any range as a film, as of a PNG."""
    low, high = np.percentile(levels, (0.1, 99.9))
    pixels = np.clip(255 * (levels - low) / ((high - low) or 1), 0, 255).astype(np.uint8)
    if min(pixels.shape) < 64:
        pixels = cv2.resize(pixels, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    return Radiograph(pixels=pixels, format="PNG", bit_depth=8)


def slices(levels: np.ndarray) -> Iterator[np.ndarray]:
    """A quarter, half and three quarters through a volume, along each axis that is long enough."""
    for axis in range(3):
        others = [side for place, side in enumerate(levels.shape) if place != axis]
        if min(others) < 20:
            continue
        for share in (0.3, 0.5, 0.7):
            yield np.rot90(np.take(levels, int(share * levels.shape[axis]), axis=axis))


def volumes_and_arrays() -> Iterator[Foreign]:
    """What packages keep as arrays: MR volumes, photographs, maps."""
    nibabel, dipy, pywt, matplotlib = map(folder_of, ("nibabel", "dipy", "pywt", "matplotlib"))
    if nibabel:
        import nibabel as readers

        for name in ("example4d.nii.gz", "anatomical.nii"):
            volume = np.asarray(readers.load(nibabel / "tests/data" / name).dataobj)
            for number, levels in enumerate(slices(volume if volume.ndim == 3 else volume[..., 0])):
                yield Foreign(
                    kind="MR",
                    source="nibabel",
                    licence="MIT, PDDL",
                    name=f"{name} {number}",
                    radiograph=as_film(levels),
                )
        if dipy:
            levels = np.load(dipy / "data/files/t1_coronal_slice.npy")
            yield Foreign(
                kind="MR",
                source="dipy",
                licence="BSD",
                name="t1_coronal_slice.npy",
                radiograph=as_film(levels),
            )
            volume = np.asarray(readers.load(dipy / "data/files/S0_10slices.nii.gz").dataobj)
            for number in range(0, volume.shape[2], 3):
                yield Foreign(
                    kind="MR",
                    source="dipy",
                    licence="BSD",
                    name=f"S0_10slices.nii.gz {number}",
                    radiograph=as_film(np.rot90(volume[:, :, number])),
                )
    if pywt:
        for name in ("ascent", "aero"):
            with np.load(pywt / f"data/{name}.npz") as arrays:
                yield Foreign(
                    kind="Grey photographs",
                    source="pywt",
                    licence="MIT",
                    name=name,
                    radiograph=as_film(arrays["data"]),
                )
    if matplotlib:
        samples = matplotlib / "mpl-data/sample_data"
        scan = np.frombuffer(gzip.decompress((samples / "s1045.ima.gz").read_bytes()), ">u2")
        maps = [np.load(samples / f"{name}.npz") for name in ("topobathy", "jacksboro_fault_dem")]
        found = {
            "s1045.ima": ("MR", scan.reshape(256, 256)),
            "topobathy": ("Maps", maps[0]["topo"]),
            "jacksboro_fault_dem": ("Maps", maps[1]["elevation"]),
        }
        for name, (kind, levels) in found.items():
            yield Foreign(
                kind=kind,
                source="matplotlib",
                licence="PSF",
                name=name,
                radiograph=as_film(levels),
            )


# Drawn here ----------------------------------------------------------------------------


def drawn() -> Iterator[Foreign]:
    """Blank and noisy images, pages, charts, and limbs as an X-ray might show them."""
    rng = np.random.default_rng(7)
    side = 512
    ramp = np.tile(np.linspace(0, 255, side), (side, 1))
    grains = [rng.normal(128, 40, (side // grain, side // grain)) for grain in (1, 4, 16, 64)]
    images = {
        "Blank, noise": [
            *(np.full((side, side), level) for level in (0, 128, 255)),
            *(ramp, ramp.T, rng.uniform(0, 255, (side, side))),
            *(cv2.resize(it, (side, side), interpolation=cv2.INTER_CUBIC) for it in grains),
        ],
        "Pages, drawings": [text_page(rng, ground=ground) for ground in (255, 255, 30, 0)]
        + [chart(rng) for _ in range(4)],
        "Limbs, drawn": [limb(rng, bones=bones) for bones in (1, 1, 2, 2, 4, 5)],
    }
    for kind, pictures in images.items():
        for number, levels in enumerate(pictures):
            pixels = np.clip(levels, 0, 255).astype(np.uint8)
            yield Foreign(
                kind=kind,
                source="drawn",
                licence="our own",
                name=str(number),
                radiograph=Radiograph(pixels=pixels, format="PNG", bit_depth=8),
            )


def text_page(rng: np.random.Generator, *, ground: int) -> np.ndarray:
    page = Image.new("L", (620, 877), ground)
    pen = ImageDraw.Draw(page)
    size = int(rng.integers(10, 26))
    font = ImageFont.load_default(size)
    words = Path(__file__).read_text().split()
    for top in range(50, 820, int(1.5 * size)):
        line = " ".join(rng.choice(words, 8))
        pen.text((50, top), line[: 850 // size], fill=255 - ground, font=font)
    return np.asarray(page)


def chart(rng: np.random.Generator) -> np.ndarray:
    page = Image.new("L", (640, 480), 255)
    pen = ImageDraw.Draw(page)
    pen.line([(60, 20), (60, 440), (620, 440)], fill=0, width=2)
    for left in range(80, 600, 40):
        pen.rectangle((left, 440 - int(rng.integers(20, 400)), left + 25, 440), fill=120)
    heights = np.cumsum(rng.normal(0, 25, 57)) + 230
    pen.line([(60 + 10 * place, it) for place, it in enumerate(heights)], fill=30, width=3)
    for top in range(40, 440, 50):
        pen.text((20, top), str(440 - top), fill=0)
    return np.asarray(page)


def limb(rng: np.random.Generator, *, bones: int) -> np.ndarray:
    """Rods of bone in soft tissue, wider at the joints, by the law of Beer and Lambert."""
    height, width = 512, 384
    rows, columns = np.mgrid[:height, :width] / height
    absorbed = np.zeros((height, width))
    middle, spread = width / height / 2, 0.09 * (bones - 1)
    wave = 0.03 * np.sin(7 * rows + rng.uniform(0, 6))
    flesh = 0.12 + spread + wave
    absorbed += 1.2 * np.sqrt(np.maximum(1 - ((columns - middle) / flesh) ** 2, 0))
    for place in np.linspace(-spread, spread, bones):
        joint = 0.012 * np.cos(4 * np.pi * rows + rng.uniform(0, 6))
        radius = 0.5 / (bones + 7) + joint
        across = np.maximum(1 - ((columns - middle - place) / radius) ** 2, 0)
        hollow = np.maximum(1 - ((columns - middle - place) / (0.6 * radius)) ** 2, 0)
        absorbed += 2.5 * np.sqrt(across) - 0.9 * np.sqrt(hollow)
    levels = 255 * (1 - np.exp(-absorbed)) + rng.normal(0, 4, absorbed.shape)
    return cv2.GaussianBlur(levels, (0, 0), 1)


# Films ---------------------------------------------------------------------------------

TRANSFORMATIONS = {
    "inverted": lambda pixels: 255 - pixels,
    "turned to the left": lambda pixels: np.rot90(pixels),
    "turned to the right": lambda pixels: np.rot90(pixels, -1),
    "turned by half": lambda pixels: np.rot90(pixels, 2),
    "upside down": lambda pixels: pixels[::-1],
}


def encoded(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(stream, "PNG")
    return stream.getvalue()


def validation_films(predictor: Predictor, root: Path) -> list[Radiograph]:
    rows = rows_of_split(catalog.build(root), "validation", predictor.bundle.card)
    return [radiograph.read_file(root / path) for path in rows["path"]]


def line(kind: str, source: str, licence: str, flags: list[bool]) -> None:
    print(f"{kind:<32} {source:<24} {licence:<24} {len(flags):>6} {sum(flags):>8}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=bundle.DEFAULT_MODEL)
    parser.add_argument("--data", type=Path, help="a folder of films; only its validation is read")
    arguments = parser.parse_args()
    predictor = Predictor(bundle.find(settings.load(), arguments.model))

    absent = {files.package for files in (*PHOTOGRAPHS, *OTHERS) if not folder_of(files.package)}
    absent |= {package for package in ("dipy", "pywt") if not folder_of(package)}
    if absent:
        print(f"not installed, left out: {', '.join(sorted(absent))}")
    foreign = [
        *(
            it
            for files in PHOTOGRAPHS
            for grey in (False, True)
            for it in read_all(files, grey=grey)
        ),
        *(it for files in OTHERS for it in read_all(files)),
        *volumes_and_arrays(),
        *drawn(),
    ]
    groups: dict[tuple[str, str, str], list[bool]] = {}
    missed = []
    for image in foreign:
        scope = predictor.predict(image.radiograph).scope
        groups.setdefault((image.kind, image.source, image.licence), []).append(bool(scope))
        if not scope:
            missed.append(f"{image.kind}: {image.source} {image.name}")
    print(f"{'Kind':<32} {'Source':<24} {'Licence':<24} {'Images':>6} {'Flagged':>8}")
    for (kind, source, licence), flags in sorted(groups.items()):
        line(kind, source, licence, flags)
    flags = [flag for group in groups.values() for flag in group]
    print(f"Foreign images: {sum(flags)} of {len(flags)} flagged ({np.mean(flags):.1%})")
    print("Not flagged:", "; ".join(missed) or "none")
    if arguments.data is None:
        return

    films = validation_films(predictor, arguments.data)
    chosen = np.random.default_rng(0).permutation(len(films))[:FILMS]
    for name, transform in TRANSFORMATIONS.items():
        transformed = [radiograph.read(encoded(transform(films[it].pixels))) for it in chosen]
        found = [bool(predictor.predict(it).scope) for it in transformed]
        line("Validation films", name, "", found)
        flags += found
    print(f"With transformed films: {sum(flags)} of {len(flags)} flagged ({np.mean(flags):.1%})")
    print("Not to be flagged:")
    pictures = np.stack([radiograph.to_model_input(films[it]) for it in chosen])
    for name in stress.NUISANCES:
        if name in (stress.FRAME_SWAPPED, stress.LUNGS_BLACKED_OUT):
            continue
        found = [
            bool(predictor.predict(dataclasses.replace(films[0], pixels=picture)).scope)
            for picture in stress.apply(name, pictures, np.zeros(len(pictures), bool))
        ]
        line("Validation films", name, "", found)
    found = [bool(predictor.predict(film).scope) for film in films]
    print(
        f"Validation films as they are: {sum(found)} of {len(found)} flagged ({np.mean(found):.1%})"
    )


if __name__ == "__main__":
    main()
