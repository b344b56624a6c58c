"""Predictions beside the usual way, in one run on one machine; then many, then a server.

    python -m benchmarks.prediction --films DIR [--chromium PATH]

DIR holds full-size JPEG films, in folders as deep as you like. The shipped model answers. Linux
only: memory and libraries of the server are read from /proc. Without a Chromium the time to the
first page is left out.
"""

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import psutil

from pneumo import figures, radiograph
from pneumo.inference import batch, bundle
from pneumo.inference.batch import Answer
from pneumo.inference.predictor import Predictor
from pneumo.settings import REPOSITORY, ImageLimits

LIMITS = ImageLimits()
ROUNDS = 3
"""How often each film is answered; a film's time is its median."""
AT_ONCE = 20
PAUSE = 3.0
"""Seconds that somebody looks at an answer before asking again, on average."""
EXAMPLES = 6
"""Synthetic films that the Predict page offers."""


# One film ---------------------------------------------------------------------------------


def explain(predictor: Predictor, data: bytes) -> float:
    """From the bytes of a file to verdict, heat map and overlay, an RGB array of the film's size.

    Returns: the milliseconds from pixels to heat map alone, as the prediction states them.
    """
    size = predictor.bundle.card.image_size
    prediction = predictor.predict(radiograph.read(data, limits=LIMITS, model_size=size))
    film = radiograph.read(data, limits=LIMITS)  # to look at: every pixel
    figures.overlay(film.pixels, prediction.evidence_for(prediction.verdict))
    return prediction.milliseconds


def one_by_one(predictor: Predictor, films: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Milliseconds of each film: whole, and from pixels to heat map."""
    explain(predictor, films[0])
    whole, inner = np.empty((2, ROUNDS, len(films)))
    for number in range(ROUNDS):
        for place, data in enumerate(films):
            begin = time.perf_counter()
            inner[number, place] = explain(predictor, data)
            whole[number, place] = 1000 * (time.perf_counter() - begin)
    return np.median(whole, axis=0), np.median(inner, axis=0)


def usual(model: Path, paths: list[Path]) -> tuple[np.ndarray, float]:
    """Milliseconds of each film the usual way, and the peak memory of its process in MiB."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump([str(path) for path in paths], file)
        file.flush()
        script = Path(__file__).with_name("usual_prediction.py")
        answer = subprocess.run(
            [sys.executable, script, model, file.name], check=True, capture_output=True, text=True
        )
    figures_of_it = json.loads(answer.stdout)
    return np.array(figures_of_it["milliseconds"]), figures_of_it["peak_mib"]


def compare_reduced(predictor: Predictor, films: list[bytes]) -> None:
    """Say what it changes that a large JPEG is decoded at a part of its size for the model."""
    size = predictor.bundle.card.image_size
    levels, logits, changed = [], [], 0
    for data in films:
        whole = radiograph.read(data, limits=LIMITS)
        reduced = radiograph.read(data, limits=LIMITS, model_size=size)
        if reduced.reduced_from is None:
            continue
        pictures = [radiograph.to_model_input(it, size=size).astype(int) for it in (whole, reduced)]
        levels.append(np.abs(pictures[0] - pictures[1]).mean())
        answers = [predictor.predict(it) for it in (whole, reduced)]
        logits.append([answer.logit for answer in answers])
        said = [(it.verdict, it.unsure, it.scope, it.flags) for it in answers]
        changed += said[0] != said[1]
    print(f"decoded at a part of their size: {len(levels)} films")
    if not levels:
        return
    differences = np.abs(np.diff(logits)[:, 0])
    high, deviation = np.quantile(differences, 0.95), np.std(logits, axis=0)[0]
    print(f"grey levels of the model's input: {np.mean(levels):.2f}, at most {max(levels):.2f}")
    print(f"logits have a standard deviation of {deviation:.2f} and differ by: ", end="")
    print(f"median {np.median(differences):.3f}, ", end="")
    print(f"95th percentile {high:.3f}, at most {differences.max():.3f}")
    print(f"other verdict, doubt or flag: {changed} films\n")


# Many films -------------------------------------------------------------------------------


def films_a_second(predictor: Predictor, paths: list[Path]) -> float:
    """Verdicts and heat maps of files on disk, as `python -m pneumo predict` asks for them."""

    def ask(paths: list[Path]) -> list[Answer]:
        questions = (batch.about_file(path, limits=LIMITS) for path in paths)
        return list(batch.answers(predictor, questions, limits=LIMITS))

    ask(paths)  # loads an interpreter for each core
    begin = time.perf_counter()
    answers = ask(2 * ROUNDS * paths)
    seconds = time.perf_counter() - begin
    if any(answer.prediction is None for answer in answers):
        raise ValueError("`films` must hold readable films only")
    return len(answers) / seconds


def at_once(predictor: Predictor, films: list[bytes]) -> np.ndarray:
    """Milliseconds to verdict and heat map, of so many threads that ask film after film."""
    size = predictor.bundle.card.image_size

    def ask(data: bytes) -> float:
        begin = time.perf_counter()
        predictor.predict(radiograph.read(data, limits=LIMITS, model_size=size))
        return 1000 * (time.perf_counter() - begin)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return np.array(list(pool.map(ask, 2 * ROUNDS * films)))


# A server ---------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Server:
    """A Streamlit process of ours."""

    address: str
    process: psutil.Process
    started: float

    @property
    def memory(self) -> dict[str, float]:
        """Resident, proportional and unshared memory in MiB."""
        info = self.process.memory_full_info()
        return {name: getattr(info, name) / 2**20 for name in ("rss", "pss", "uss")}

    @property
    def has_tensorflow(self) -> bool:
        """Whether TensorFlow was ever loaded."""
        return "libtensorflow" in Path(f"/proc/{self.process.pid}/maps").read_text()


@contextmanager
def serving(home: Path) -> Iterator[Server]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    started = time.perf_counter()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "streamlit", "run", "streamlit_app.py"),
            *("--server.port", str(port), "--server.headless", "true"),
        ],
        cwd=REPOSITORY,
        env=os.environ | {"PNEUMO_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_until_healthy(address, process)
        yield Server(address=address, process=psutil.Process(process.pid), started=started)
    finally:
        process.terminate()
        process.wait()


def _wait_until_healthy(address: str, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=5):
                return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"The server ended with code {process.returncode}")


def first_page(home: Path, chromium: str) -> float:
    """Seconds from the start of the process until a browser shows the last of the examples."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--headless=new", "--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page()
        with serving(home) as server:
            page.goto(f"{server.address}/predict", wait_until="commit")
            picture = page.locator(f".st-key-card-example-{EXAMPLES} img")
            picture.wait_for(timeout=60_000)
            page.wait_for_function("it => it.complete", arg=picture.element_handle())
            seconds = time.perf_counter() - server.started
        browser.close()
    return seconds


def ask_session(server: Server, number: int, *, pause: float = 0.0) -> list[float]:
    """Milliseconds of each example in a session of its own, from the question to the whole page.

    The session speaks Streamlit's protocol, so that no browser takes part.

    Args:
        number: of the session.
        pause: seconds between an answer and the next question, on average.
    """
    from streamlit.proto.BackMsg_pb2 import BackMsg
    from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
    from websockets.sync.client import connect

    address = server.address.replace("http", "ws", 1) + "/_stcore/stream"
    rng = np.random.default_rng(number)
    with connect(address, subprotocols=["streamlit"], max_size=None) as connection:

        def ask(query: str) -> float:
            """Milliseconds to the end of the page that answers."""
            question = BackMsg()
            question.rerun_script.query_string = query
            question.rerun_script.page_name = "predict"
            begin = time.perf_counter()
            connection.send(question.SerializeToString())
            answered = False
            while True:
                content = connection.recv(timeout=60)
                answered = answered or b"Decision support" in content
                message = ForwardMsg()
                message.ParseFromString(content)
                if message.WhichOneof("type") == "script_finished":
                    break
            if bool(query) != answered:
                raise RuntimeError(f"The server has not answered as it should. Query: {query!r}")
            return 1000 * (time.perf_counter() - begin)

        ask("")
        times = []
        for example in range(number, number + EXAMPLES):
            time.sleep(rng.uniform(0, 2 * pause))
            times.append(ask(f"example={1 + example % EXAMPLES}"))
        return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--films", type=Path, required=True, metavar="DIR")
    parser.add_argument("--chromium", default=shutil.which("chromium"), metavar="PATH")
    options = parser.parse_args()
    paths = sorted(it for it in options.films.rglob("*") if it.suffix in (".jpeg", ".jpg"))
    films = [path.read_bytes() for path in paths]
    model = bundle.load(REPOSITORY / "models" / bundle.DEFAULT_MODEL)
    predictor = Predictor(model)
    pixels = np.median([np.prod(radiograph.measure(path)) for path in paths]) / 1e6
    print(f"{len(paths)} films, {pixels:.1f} megapixels in the middle, {predictor.workers} cores\n")

    compare_reduced(predictor, films)

    def line(name: str, values: np.ndarray) -> None:
        middle, high = np.quantile(values, (0.5, 0.9))
        print(f"{name:<44}{middle:8.1f} ms   90th percentile {high:.1f} ms", flush=True)

    whole, inner = one_by_one(predictor, films)
    line("file to verdict, heat map and overlay", whole)
    line("of which pixels to heat map", inner)
    theirs, peak = usual(model.folder / "model.keras", paths)
    line("the same, the usual way", theirs)
    ratio = np.median(theirs) / np.median(whole)
    print(f"{'the usual way takes':<44}{ratio:8.1f} times as long, peak {peak:.0f} MiB\n")

    rates = [films_a_second(predictor, paths) for _ in range(ROUNDS)]
    print(f"{'files on disk to verdicts and heat maps':<44}{np.median(rates):8.0f} a second")
    line(f"{AT_ONCE} threads at once, a film", at_once(predictor, films))

    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        with serving(home) as server, ThreadPoolExecutor(AT_ONCE) as pool:

            def ask_all(pause: float) -> np.ndarray:
                ask = partial(ask_session, server, pause=pause)
                return np.concatenate(list(pool.map(ask, range(AT_ONCE))))

            print()
            line("a page with an answer, one session", np.array(ask_session(server, 0)[1:]))
            alone = server.memory
            line(f"{AT_ONCE} sessions, a film every {PAUSE:g} s each", ask_all(PAUSE))
            line(f"{AT_ONCE} sessions, film after film", ask_all(0))
            for what, memory in (("one session", alone), (f"{AT_ONCE} sessions", server.memory)):
                stated = ", ".join(f"{key.upper()} {value:.0f}" for key, value in memory.items())
                print(f"{f'MiB of the server after {what}':<44}{stated}")
            print(f"{'TensorFlow in its memory':<44}{'yes' if server.has_tensorflow else 'no'}")
        if options.chromium:
            seconds = np.median([first_page(home, options.chromium) for _ in range(ROUNDS)])
            print(f"{'start of the server to the first page':<44}{seconds:8.1f} s")


if __name__ == "__main__":
    main()
