"""Training pictures, decoded once and kept on disk for every run that needs them again."""

import mmap
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from filelock import FileLock

from pneumo import __version__, radiograph
from pneumo.radiograph import UnreadableRadiograph
from pneumo.settings import ImageLimits
from pneumo.training.runs import LeftOut, TrainingImage

Progress = Callable[[int, int], None]

CORES = os.cpu_count() or 1
DIGEST_BYTES = 16
APPENDED_TOGETHER = 256
RESIDENT_BYTES = 64 * 2**20
"""Mapped pages count as memory of the process; beyond so many they are given back."""


class PictureCache:
    """uint8 pictures of one size, found by the content of the files that they were decoded from.

    `pixels` holds one picture after the other, `index` the digest of each. Both only ever grow,
    pixels first: whatever moment a writer is killed at, the index names complete pictures only,
    and the next writer goes on behind them.

    Args:
        cache: folder of the caches of this installation.
        size: side of the pictures, in pixels.
    """

    def __init__(self, cache: Path, *, size: int) -> None:
        # Another release may decode or resample differently.
        release = f"{__version__}-{radiograph.MODEL_INPUT_VERSION}"
        self._folder = cache / f"pictures-{release}-{size}"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._size = size

    def add(
        self, images: Sequence[TrainingImage], *, limits: ImageLimits, progress: Progress
    ) -> list[LeftOut]:
        """Decode the images that are not there yet, on all cores.

        Args:
            images: with their digests.
            limits: what each file must respect.
            progress: called with images done and their number.

        Returns: the images that cannot be read; they are tried again the next time.

        Raises:
            OSError: the pictures cannot be written.
        """
        with FileLock(self._folder / "writer.lock"):
            known = set(self._digests())
            new = {image.digest: image for image in images if image.digest not in known}
            unreadable: dict[str, LeftOut] = {}
            with (
                (self._folder / "pixels").open("ab") as pixels,
                (self._folder / "index").open("ab") as index,
                ThreadPoolExecutor(CORES) as pool,
            ):
                index.truncate(len(known) * DIGEST_BYTES)
                pixels.truncate(len(known) * self._size**2)
                done = len(images) - len(new)
                waiting = list(new.values())
                for start in range(0, len(waiting), APPENDED_TOGETHER):
                    group, added = waiting[start : start + APPENDED_TOGETHER], []
                    for image, found in zip(
                        group, pool.map(lambda it: self._decode(it, limits), group), strict=True
                    ):
                        if isinstance(found, LeftOut):
                            unreadable[image.digest] = found
                        else:
                            pixels.write(found.tobytes())
                            added.append(bytes.fromhex(image.digest))
                        done += 1
                        progress(done, len(images))
                    pixels.flush()
                    index.write(b"".join(added))
                    index.flush()
        return [
            LeftOut(path=image.path, reason=unreadable[image.digest].reason)
            for image in images
            if image.digest in unreadable
        ]

    def pictures(self, images: Sequence[TrainingImage]) -> "MappedPictures":
        """The pictures of images that were added.

        Raises:
            KeyError: an image is not there.
        """
        rows = {digest: row for row, digest in enumerate(self._digests())}
        found = np.array([rows[image.digest] for image in images], dtype=np.int64)
        return MappedPictures(self._folder / "pixels", size=self._size, rows=found)

    def _digests(self) -> list[str]:
        """The digest of each complete picture, hexadecimal."""
        try:
            content = (self._folder / "index").read_bytes()
        except FileNotFoundError:
            return []
        starts = range(0, len(content) - DIGEST_BYTES + 1, DIGEST_BYTES)
        return [content[start : start + DIGEST_BYTES].hex() for start in starts]

    def _decode(self, image: TrainingImage, limits: ImageLimits) -> np.ndarray | LeftOut:
        try:
            film = radiograph.read_file(Path(image.path), limits=limits, model_size=self._size)
        except (UnreadableRadiograph, OSError) as error:
            return LeftOut(path=image.path, reason=str(error))
        return radiograph.to_model_input(film, size=self._size)


class MappedPictures:
    """Pictures in a file that is mapped into memory, of which little stays there.

    Args:
        path: holds uint8 pictures of size × size pixels, one after the other.
        size: side of the pictures, in pixels.
        rows: places of the pictures in the file, int64, shape (images,).
    """

    def __init__(self, path: Path, *, size: int, rows: np.ndarray) -> None:
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        complete = len(self._map) // size**2  # behind them a writer may be at work
        pixels = np.frombuffer(self._map, np.uint8, count=complete * size**2)
        self._pixels = pixels.reshape(complete, size, size)
        self._rows = rows
        self._touched = 0

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, chosen: int | slice | np.ndarray) -> np.ndarray:
        """Copies of pictures, uint8, shape (size, size) or (images, size, size)."""
        pictures = np.array(self._pixels[self._rows[chosen]])
        self._touched += pictures.nbytes
        if self._touched > RESIDENT_BYTES and hasattr(self._map, "madvise"):
            self._touched = 0
            self._map.madvise(mmap.MADV_DONTNEED)
        return pictures
