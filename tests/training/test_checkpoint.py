"""Checkpoints: read as they were written, whole or not at all, refused where damaged."""

import dataclasses
import math
import os
from pathlib import Path

import numpy as np
import pytest

from pneumo.training import checkpoint
from pneumo.training.checkpoint import Arrays, Checkpoint, CheckpointMismatch, Progress

PROGRESS = Progress(
    phase=1,
    epochs_in_phase=2,
    epochs=5,
    steps=35,
    seconds=12.5,
    best_score=-0.25,
    best_epoch=4,
    epochs_without_gain=1,
)


def arrays(seed: int = 0) -> dict[str, Arrays]:
    """Twelve weights, so that their order is not that of their names' digits as text."""
    rng = np.random.default_rng(seed)
    return {
        "weights": [rng.random((number + 1, 2), np.float32) for number in range(12)],
        "optimizer": [np.array(7, np.int64), rng.random(3, np.float32), np.zeros((0, 4))],
        "best": [rng.random((2, 2, 2)).astype(np.float16)],
    }


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, Checkpoint]:
    path = tmp_path / "checkpoint.npz"
    written = Checkpoint(progress=PROGRESS, backbone="abcd", arrays=arrays())
    checkpoint.save(path, written)
    return path, written


def check_equal(read: Checkpoint | None, written: Checkpoint) -> None:
    assert read is not None
    assert (read.progress, read.backbone) == (written.progress, written.backbone)
    assert list(read.arrays) == list(written.arrays)
    for group, members in written.arrays.items():
        for found, expected in zip(read.arrays[group], members, strict=True):
            assert found.dtype == expected.dtype and found.shape == expected.shape
            assert np.array_equal(found, expected)


def test_what_is_written_is_read(saved: tuple[Path, Checkpoint]) -> None:
    path, written = saved
    check_equal(checkpoint.load(path), written)
    assert [entry.name for entry in path.parent.iterdir()] == ["checkpoint.npz"]


def test_nothing_was_written(tmp_path: Path) -> None:
    assert checkpoint.load(tmp_path / "checkpoint.npz") is None


def test_the_best_score_may_be_of_no_epoch_yet(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.npz"
    checkpoint.save(path, Checkpoint(progress=Progress(), backbone="", arrays={}))
    read = checkpoint.load(path)
    assert read is not None and read.progress.best_score == -math.inf
    assert read == Checkpoint(progress=Progress(), backbone="", arrays={})


def test_a_later_checkpoint_takes_the_place_of_an_earlier_one(
    saved: tuple[Path, Checkpoint],
) -> None:
    path, _ = saved
    later = Checkpoint(
        progress=dataclasses.replace(PROGRESS, epochs=6), backbone="abcd", arrays=arrays(1)
    )
    checkpoint.save(path, later)
    check_equal(checkpoint.load(path), later)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_half_a_file_is_damaged(saved: tuple[Path, Checkpoint], share: float) -> None:
    path, _ = saved
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CheckpointMismatch) as refusal:
        checkpoint.load(path)
    assert str(refusal.value).startswith(f"{path} is damaged (")
    assert "Delete it to train from the beginning." in str(refusal.value)


def test_bytes_that_changed_are_damage(saved: tuple[Path, Checkpoint]) -> None:
    path, written = saved
    content = bytearray(path.read_bytes())
    place = content.find(np.asarray(written.arrays["weights"][11]).tobytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointMismatch, match="is damaged"):
        checkpoint.load(path)


def test_other_files_are_no_checkpoints(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.npz"
    for write in (
        lambda: path.write_text("a note"),
        lambda: np.savez(path, weights=np.zeros(3)),
        lambda: np.savez(path, state=np.array("no JSON")),
        lambda: np.savez(path, state=np.array({"a": 1}, dtype=object)),
    ):
        write()
        with pytest.raises(CheckpointMismatch, match="is damaged"):
            checkpoint.load(path)


@pytest.mark.parametrize("fails", ["savez", "fsync"])
def test_a_failing_write_leaves_the_one_before(
    saved: tuple[Path, Checkpoint], monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    path, written = saved
    with monkeypatch.context() as disk:
        if fails == "savez":
            savez = np.savez

            def half(file: object, **content: object) -> None:
                savez(file, state=content["state"])  # type: ignore[arg-type]
                raise OSError(28, "No space left on device")

            disk.setattr(np, "savez", half)
        else:

            def fail(number: int) -> None:
                raise OSError(28, "No space left on device")

            disk.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="No space left"):
            checkpoint.save(path, Checkpoint(progress=Progress(), backbone="", arrays=arrays(1)))
    check_equal(checkpoint.load(path), written)
    assert [entry.name for entry in path.parent.iterdir()] == ["checkpoint.npz"]


def test_a_folder_that_is_gone_is_not_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "deleted"
    with pytest.raises(FileNotFoundError):
        checkpoint.save(
            folder / "checkpoint.npz", Checkpoint(progress=Progress(), backbone="", arrays={})
        )
    assert not folder.exists()
