"""Classify clips: an animation or a folder of frames → the classes, the most probable first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..data.names import DATASETS
from ..data.pictures.pixels import to_grey
from ..data.video.prepare import Preparation, pairs, prepare
from ..data.video.read import evenly, is_clip, read_clip
from ..data.video.samples import ClipReader
from ..network import Network
from .base import VIDEO, check_task
from .classes import LabelledSamples, NamesClasses, Ranking, read_folder


class Answer(NamedTuple):
    """The classes of a clip; empty if nothing is to be seen in it.

    views: what each network was given; note: what the user should know, if anything.
    """

    ranking: Ranking
    views: Sequence[np.ndarray] = ()
    note: str | None = None


class Video(NamesClasses):
    """Networks that name a clip, each from the clip as its own file prepares it."""

    name = VIDEO
    sample = "clip"
    nothing = "nothing to be seen"
    options = frozenset({"show"})

    def __init__(self, *models: Network) -> None:
        super().__init__(*models)
        self.preparations = [Preparation.of(model) for model in models]

    def answer(self, given: Any, **options: Any) -> list[Answer]:
        """What happens in a clip, from the mean of the models' probabilities.

        given: what `data.video.read.read_clip` takes. Raises ImageError for anything but a clip.
        """
        clip = read_clip(given, max(preparation.frames for preparation in self.preparations))
        views, votes = [], []
        for model, preparation in zip(self.models, self.preparations, strict=True):
            frames = prepare([clip[i] for i in evenly(len(clip), preparation.frames)], preparation)
            if frames is None:
                return [Answer([])]
            views.append(frames)
            votes.append(model.answer(pairs(frames[None]))[0][0])
        return [Answer(self.model.rank(np.mean(votes, axis=0)), views)]

    def answers(self, given: Any, **options: Any) -> Iterator[list[Answer]]:
        """The answer to one clip."""
        yield self.answer(given)

    def views(self, answer: Answer) -> Iterator[str]:
        """The frames that each network was given, in shades of the terminal's colour, one below the other."""
        from ..drawing import shades

        for frames in answer.views:
            yield "\n\n".join(shades(to_grey(frame / np.float32(255))) for frame in frames)

    def is_sample(self, path: Path) -> bool:
        """Whether a file or folder should be a clip."""
        return is_clip(path)

    def read(self, data: str) -> LabelledSamples:
        """The test set of moving digits, or a folder with a folder of clips per class, numbered as the models number them."""
        if data in DATASETS:
            return self._test_set(data)
        for model in self.models:
            check_task(model, VIDEO)
        return read_folder(self.models, data, lambda m: ClipReader(Preparation.of(m)))

    def _test_set(self, data: str) -> LabelledSamples:
        from ..data.datasets import load
        from ..data.folders import check_classes

        found = load(data)
        labels = self.model.labels or found.labels
        check_classes(found.labels, labels, data)
        test = found.test()
        y = np.array([labels.index(label) for label in found.labels])[test.y]
        return LabelledSamples([test.prepared(preparation) for preparation in self.preparations], y, y[:0])


TASK = Video
