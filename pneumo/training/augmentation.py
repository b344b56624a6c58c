"""Random changes of training pictures: geometry, what stands around the chest, then grey levels.

The geometry is that of Keras' `ImageDataGenerator`, so that a recipe written for it means the
same here; without its passes over floating-point colour it is many times faster.

Side letters, burned-in exposure texts and black borders differ between the classes of the public
data sets, and a network would rather read those than the lungs. Some pictures therefore lose
their corners, and some get letters and texts that say nothing. Others get the whole frame of
another picture, as in Xiao et al., Noise or Signal: The Role of Image Backgrounds in
Object Recognition, ICLR 2021.
"""

import math

import cv2
import numpy as np

from pneumo.training.recipe import Augmentation

CORNER_SIDE = (0.08, 0.25)
"""Each side of a corner that is blacked out, as a share of the picture's."""
ERASED_AREA = (0.02, 0.15)
"""Of the picture."""
LETTER_HEIGHT = (0.04, 0.14)
TEXT_HEIGHT = (0.025, 0.06)
"""Both of capital letters, as a share of the picture's shorter side."""
FRAME_ROWS = ((0.03, 0.18), (0.80, 0.97))
FRAME_COLUMNS = ((0.03, 0.16), (0.84, 0.97))
"""Where a frame ends, at the top and the bottom, the left and the right, as shares of the side."""
FRAME_SOFTNESS = (0.01, 0.06)
"""Width of the seam between a frame and what it surrounds, as a share of the side."""
MARKER_GREY = (150, 255)
MARKER_OPACITY = (0.6, 1.0)
"""Of the few that the film shines through."""

_SIDE_LETTERS = ("R", "R", "R", "L", "L", "r")
_PROJECTIONS = ("AP", "A-P", "PA", "ERECT", "SUPINE", "PORTABLE")
_TYPEFACES = ("sans", "sans", "uni", "italic")  # those that OpenCV brings along
_CAPITAL_HEIGHT = 0.72  # of the size of the typefaces
_PADDING = 2  # pixels around a marker: room for its blur


def augment(
    image: np.ndarray,
    augmentation: Augmentation,
    rng: np.random.Generator,
    *,
    other: np.ndarray | None = None,
) -> np.ndarray:
    """A randomly changed copy.

    Args:
        image: uint8, shape (height, width).
        augmentation: the largest changes.
        rng: the same state gives the same picture.
        other: a picture of the same shape whose frame may be taken; without one, none is. It
            must be of either class alike: were it always of the other class, a seam and a frame
            would give the class away together.

    Returns: uint8, shape (height, width).
    """
    height, width = image.shape
    if other is not None and rng.random() < augmentation.frame_swap:
        image = swap_frame(image, other, rng)
    if _moves_pixels(augmentation):
        result = warp(image, random_transform(augmentation, rng, height=height, width=width))
    else:
        result = image.copy()
    if rng.random() < augmentation.corner_blackout:
        black_out_corners(result, rng)
    if rng.random() < augmentation.erasing:
        erase_rectangle(result, rng)
    # Before the loss of sharpness, so that the letters are no sharper than the film.
    if rng.random() < augmentation.markers:
        paste_markers(result, rng)
    if augmentation.blur:
        result = lose_resolution(result, 1 + augmentation.blur * rng.random())
    if augmentation.contrast or augmentation.gamma:
        contrast = 1 + augmentation.contrast * rng.uniform(-1, 1)
        gamma = 2 ** (augmentation.gamma * rng.uniform(-1, 1))
        result = cv2.LUT(result, _grey_levels(contrast, gamma))
    if augmentation.noise:
        result = add_noise(result, augmentation.noise * rng.random(), rng)
    if augmentation.recompression:
        result = recompress(result, round(100 - augmentation.recompression * rng.random()))
    return np.asarray(result)


# Geometry ---------------------------------------------------------------------------------


def _moves_pixels(augmentation: Augmentation) -> bool:
    return augmentation.horizontal_flip or any(
        (
            augmentation.rotation,
            augmentation.zoom,
            augmentation.shear,
            augmentation.shift,
            augmentation.crop,
        )
    )


def random_transform(
    augmentation: Augmentation, rng: np.random.Generator, *, height: int, width: int
) -> np.ndarray:
    """A random matrix from output to input pixels (column, row, 1).

    The crop, then rotation, shear and zoom about the picture's centre, as in
    `ImageDataGenerator`.

    Returns: float64, shape (3, 3).
    """
    top, bottom, left, right = rng.uniform(0, augmentation.crop, size=4)
    angle = math.radians(rng.uniform(-augmentation.rotation, augmentation.rotation))
    shear = math.radians(rng.uniform(-augmentation.shear, augmentation.shear))
    zoom_rows, zoom_columns = rng.uniform(1 - augmentation.zoom, 1 + augmentation.zoom, size=2)
    shift_rows, shift_columns = rng.uniform(-augmentation.shift, augmentation.shift, size=2)
    mirror = augmentation.horizontal_flip and rng.random() < 0.5
    return transform(
        crop=(top, bottom, left, right),
        angle=angle,
        shear=shear,
        zoom=(zoom_rows, zoom_columns),
        shift=(shift_rows * height, shift_columns * width),
        mirror=mirror,
        height=height,
        width=width,
    )


def transform(
    *,
    crop: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0),
    angle: float = 0.0,
    shear: float = 0.0,
    zoom: tuple[float, float] = (1.0, 1.0),
    shift: tuple[float, float] = (0.0, 0.0),
    mirror: bool = False,
    height: int,
    width: int,
) -> np.ndarray:
    """The matrix from output to input pixels (column, row, 1).

    Args:
        crop: shares that the top, bottom, left and right lose, before everything else; the rest
            is stretched to the whole picture.
        angle: in radians.
        shear: in radians.
        zoom: of rows and of columns; below 1 enlarges.
        shift: of rows and of columns, in pixels.
        mirror: left becomes right, after everything else.
        height: of the picture, in pixels.
        width: of the picture, in pixels.

    Returns: float64, shape (3, 3).
    """
    top, bottom, left, right = crop
    rows, columns = 1 - top - bottom, 1 - left - right
    # The half pixels: what is stretched are areas, whose edges lie between the pixels' centres.
    stretch = np.array(
        [
            [columns, 0, left * width + (columns - 1) / 2],
            [0, rows, top * height + (rows - 1) / 2],
            [0, 0, 1],
        ]
    )
    cos, sin = math.cos(angle), math.sin(angle)
    rotation = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    move = np.array([[1, 0, shift[1]], [0, 1, shift[0]], [0, 0, 1]])
    slant = np.array([[1, -math.sin(shear), 0], [0, math.cos(shear), 0], [0, 0, 1]])
    scale = np.diag([zoom[1], zoom[0], 1.0])
    centre = np.array([[1, 0, width / 2 - 0.5], [0, 1, height / 2 - 0.5], [0, 0, 1]])
    to_centre = np.array([[1, 0, 0.5 - width / 2], [0, 1, 0.5 - height / 2], [0, 0, 1]])
    matrix = stretch @ centre @ rotation @ move @ slant @ scale @ to_centre
    if mirror:
        matrix = matrix @ np.array([[-1, 0, width - 1], [0, 1, 0], [0, 0, 1]])
    return matrix


def warp(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The picture that a matrix from output to input pixels makes; its edge is continued.

    Returns: of the dtype and shape of `image`.
    """
    height, width = image.shape
    return np.asarray(
        cv2.warpAffine(
            image,
            matrix[:2],
            (width, height),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
    )


# What stands around the chest -------------------------------------------------------------


def swap_frame(image: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The middle of one picture in the frame of another, with a soft seam.

    Args:
        image, other: uint8, shape (height, width) both.
        rng: decides where the seam runs.

    Returns: uint8, shape (height, width).
    """
    height, width = image.shape
    rows = _inside(height, *FRAME_ROWS, rng)[:, np.newaxis]
    middle = rows * _inside(width, *FRAME_COLUMNS, rng)
    return np.asarray(cv2.blendLinear(image, other, middle, 1 - middle))


def _inside(
    side: int, first: tuple[float, float], last: tuple[float, float], rng: np.random.Generator
) -> np.ndarray:
    """How far each place along a side is inside a frame: float32, shape (side,), in [0, 1]."""
    begin, end, softness = (rng.uniform(*limits) for limits in (first, last, FRAME_SOFTNESS))
    place = (np.arange(side, dtype=np.float32) + 0.5) / side
    return np.clip(np.minimum(place - begin, end - place) / softness + 0.5, 0, 1)


def black_out_corners(image: np.ndarray, rng: np.random.Generator) -> None:
    """Hide a rectangle in some of the corners of `image`, uint8 of shape (height, width).

    Most are blacked out; some get the picture's mean grey, or are blurred until letters vanish.
    """
    height, width = image.shape
    chosen = rng.random(4) < 0.5
    chosen[rng.integers(4)] = True
    for corner in np.flatnonzero(chosen).tolist():
        rows = round(height * rng.uniform(*CORNER_SIDE))
        columns = round(width * rng.uniform(*CORNER_SIDE))
        region = image[
            slice(None, rows) if corner < 2 else slice(-rows, None),
            slice(None, columns) if corner % 2 == 0 else slice(-columns, None),
        ]
        fill = rng.random()
        if fill < 0.6:
            region[:] = 0
        elif fill < 0.8:
            region[:] = round(cv2.mean(image)[0])
        else:
            region[:] = cv2.blur(region, (columns // 2 + 1, rows // 2 + 1))


def erase_rectangle(image: np.ndarray, rng: np.random.Generator) -> None:
    """Fill a rectangle of `image`, uint8 of shape (height, width), with grey or with noise."""
    height, width = image.shape
    share = rng.uniform(*ERASED_AREA)
    stretch = 2 ** rng.uniform(-0.5, 0.5)
    rows = round(height * math.sqrt(share) * stretch)
    columns = round(width * math.sqrt(share) / stretch)
    top, left = rng.integers(height - rows + 1), rng.integers(width - columns + 1)
    region = image[top : top + rows, left : left + columns]
    if rng.random() < 0.5:
        region[:] = round(cv2.mean(image)[0])
    else:
        region[:] = rng.integers(0, 256, region.shape, dtype=np.uint8)


def paste_markers(image: np.ndarray, rng: np.random.Generator) -> None:
    """Write 1 to 3 side letters and exposure texts near the borders of `image`.

    Args:
        image: uint8, shape (height, width).
        rng: decides on everything.
    """
    for _ in range(rng.integers(1, 4)):
        opacity = _marker(rng, side=min(image.shape))
        top, left = _place(opacity.shape, image.shape, rng)
        region = _overlap(image, opacity.shape, top=top, left=left)
        opacity = opacity[max(-top, 0) :, max(-left, 0) :][: region.shape[0], : region.shape[1]]
        if rng.random() < 0.15:
            region[:] = rng.integers(0, 40)  # a lead plate, or the box of a burned-in text
        darkest, brightest = MARKER_GREY
        grey = round(brightest - (brightest - darkest) * rng.random() ** 2)  # mostly bright
        region[:] = region + (grey - region.astype(np.int32)) * opacity // 255


def _marker(rng: np.random.Generator, *, side: int) -> np.ndarray:
    """The opacity of a random marker on a picture of that size: uint8, shape (rows, columns)."""
    is_letter = rng.random() < 0.6
    if is_letter:
        text = _SIDE_LETTERS[rng.integers(len(_SIDE_LETTERS))]
        opacity = _lettering(text, round(side * rng.uniform(*LETTER_HEIGHT)), rng)
        if rng.random() < 0.3:
            opacity = _with_serifs(opacity)
    else:
        opacity = _lettering(_exposure_text(rng), round(side * rng.uniform(*TEXT_HEIGHT)), rng)
    mirrored = is_letter and rng.random() < 0.15  # a plate that lies on its face
    opacity = _turned(
        opacity,
        angle=math.radians(rng.normal(0, 5)) if is_letter else 0.0,
        # Films that are higher than wide become wide, the others narrow.
        stretch=rng.uniform(0.6, 1.1) * (-1 if mirrored else 1),
    )
    if rng.random() < 0.4:
        opacity = np.asarray(cv2.GaussianBlur(opacity, (0, 0), rng.uniform(0.4, 0.9)))
    if rng.random() < 0.3:
        opacity = np.asarray(cv2.convertScaleAbs(opacity, alpha=rng.uniform(*MARKER_OPACITY)))
    return opacity


def _exposure_text(rng: np.random.Generator) -> str:
    """What a device or a radiographer may have written on a film."""
    kind = rng.integers(5)
    if kind == 0:
        return f"KV{rng.integers(50, 90)}"
    if kind == 1:
        return f"{rng.integers(24):02}:{rng.integers(60):02}"
    if kind == 2:
        return f"{rng.integers(1, 20)} mAs"
    if kind == 3:
        year, month, day = rng.integers((2008, 1, 1), (2025, 13, 32))
        return f"{year}-{month:02}-{day:02}"
    return _PROJECTIONS[rng.integers(len(_PROJECTIONS))]


def _lettering(text: str, height: int, rng: np.random.Generator) -> np.ndarray:
    """A text in a random typeface and weight, cut to its ink: uint8, shape (rows, columns)."""
    size = max(round(height / _CAPITAL_HEIGHT), 6)
    canvas = np.zeros((2 * size, (len(text) + 1) * size), np.uint8)
    # A font object remembers its weight: one for all threads would make them write each other's.
    font = cv2.FontFace(_TYPEFACES[rng.integers(len(_TYPEFACES))])
    weight = int(rng.integers(300, 800))
    cv2.putText(canvas, text, (size // 2, size * 3 // 2), (255,), font, size, weight)
    left, top, columns, rows = cv2.boundingRect(canvas)
    return canvas[top : top + rows, left : left + columns]


def _with_serifs(opacity: np.ndarray) -> np.ndarray:
    """Short bars at head and foot, which no typeface here has: uint8, (rows, more columns)."""
    rows = len(opacity)
    bar, reach = max(rows // 14, 1), max(rows // 10, 1)
    wider = cv2.copyMakeBorder(opacity, 0, 0, reach, reach, cv2.BORDER_CONSTANT)
    kernel = np.ones((1, 2 * reach + 1), np.uint8)
    for end in (wider[:bar], wider[-bar:]):
        end[:] = cv2.dilate(end, kernel)
    return np.asarray(wider)


def _turned(opacity: np.ndarray, *, angle: float, stretch: float) -> np.ndarray:
    """A marker widened, then turned: uint8, shape (rows, columns), with room for its blur.

    Args:
        opacity: uint8, shape (rows, columns).
        angle: in radians, clockwise.
        stretch: of its width; negative mirrors.
    """
    rows, columns = opacity.shape
    cos, sin = math.cos(angle), math.sin(angle)
    linear = np.array([[stretch * cos, -sin], [stretch * sin, cos]])
    new_columns, new_rows = np.ceil(np.abs(linear) @ (columns, rows)).astype(int) + 2 * _PADDING
    before = np.array([columns - 1, rows - 1]) / 2
    after = np.array([new_columns - 1, new_rows - 1]) / 2
    matrix = np.column_stack([linear, after - linear @ before])
    return np.asarray(cv2.warpAffine(opacity, matrix, (int(new_columns), int(new_rows))))


def _place(
    marker: tuple[int, ...], picture: tuple[int, ...], rng: np.random.Generator
) -> tuple[int, int]:
    """The top and the left of a marker anywhere along the borders, mostly close to them.

    It may be cut off a little, as on real films.
    """
    axis = rng.integers(2)  # of the border's distance: 0 for top and bottom, 1 for the sides
    room = np.subtract(picture, marker)
    along = room * rng.random()
    distance = picture[axis] * (0.14 * rng.random() ** 2 - 0.02)
    along[axis] = distance if rng.random() < 0.5 else room[axis] - distance
    top, left = np.round(along).astype(int).tolist()
    return top, left


def _overlap(image: np.ndarray, shape: tuple[int, ...], *, top: int, left: int) -> np.ndarray:
    """The part of a picture, as a view, under a rectangle that may reach beyond it."""
    return image[max(top, 0) : top + shape[0], max(left, 0) : left + shape[1]]


# Sharpness and grey levels ----------------------------------------------------------------


def lose_resolution(image: np.ndarray, factor: float) -> np.ndarray:
    """Reduced by a factor and enlarged again: of the dtype and shape of `image`."""
    height, width = image.shape
    small = cv2.resize(
        image, (round(width / factor), round(height / factor)), interpolation=cv2.INTER_AREA
    )
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR))


def _grey_levels(contrast: float, gamma: float) -> np.ndarray:
    """The new value of each of the 256 grey levels: contrast about the middle, then gamma."""
    levels = np.clip((np.arange(256) / 255 - 0.5) * contrast + 0.5, 0, 1)
    return np.round(255 * levels**gamma).astype(np.uint8)


def add_noise(image: np.ndarray, deviation: float, rng: np.random.Generator) -> np.ndarray:
    """With film grain of a standard deviation in grey levels.

    The sum of 2 × 2 random bytes is close to Gaussian, about as coarse as grain, and a fraction
    of the work of drawing Gaussian numbers.

    Args:
        image: uint8, shape (height, width).
        deviation: standard deviation, in grey levels.
        rng: source of the bytes.

    Returns: uint8, shape (height, width).
    """
    height, width = image.shape
    uniform = np.frombuffer(rng.bytes((height + 1) * (width + 1)), np.uint8)
    grain = cv2.boxFilter(
        uniform.reshape(height + 1, width + 1), cv2.CV_16S, (2, 2), normalize=False
    )[1:, 1:]
    gain = deviation / math.sqrt(4 * (256**2 - 1) / 12)
    mean = 4 * 255 / 2
    return np.asarray(cv2.addWeighted(image, 1, grain, gain, -gain * mean, dtype=cv2.CV_8U))


def recompress(image: np.ndarray, quality: int) -> np.ndarray:
    """As it comes back from a JPEG file of that quality: of the dtype and shape of `image`."""
    _, file = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, quality))
    return np.asarray(cv2.imdecode(file, cv2.IMREAD_GRAYSCALE))
