"""Files to be answered, and what became of each."""

from collections.abc import Callable
from dataclasses import dataclass

from pneumo import radiograph
from pneumo.inference.predictor import Prediction, Predictor
from pneumo.radiograph import UnreadableRadiograph
from pneumo.settings import ImageLimits


@dataclass(frozen=True, kw_only=True)
class Question:
    """A file that somebody asks about.

    Attributes:
        name: for people.
        key: tells it from every other file of the session.
        read: its content, fetched when it is needed.
        synthetic: no patient's film.
    """

    name: str
    key: str
    read: Callable[[], bytes]
    synthetic: bool = False


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a model says of a file, or the reason why it says nothing.

    Attributes:
        prediction: None where the file could not be read.
        error: "" where it could.
    """

    question: Question
    prediction: Prediction | None
    error: str = ""


def answer(predictor: Predictor, question: Question, *, limits: ImageLimits) -> Answer:
    """What the model says of one file."""
    try:
        film = radiograph.read(question.read(), limits=limits)
    except UnreadableRadiograph as unreadable:
        return Answer(question=question, prediction=None, error=str(unreadable))
    except OSError as error:
        reason = f"The file cannot be opened: {error.strerror}."
        return Answer(question=question, prediction=None, error=reason)
    return Answer(question=question, prediction=predictor.predict(film))
