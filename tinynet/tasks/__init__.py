"""What a trained network is for: one file a task, named as the `task` of a model's file names it, with a class `TASK`.

A task has one network, or several that vote, and three words: `answer` makes of one input, as people hold it, the answers;
`evaluate` makes of data, as `read` reads them, measures; `show` makes of either what people read.
"""

from __future__ import annotations

from importlib import import_module

from ..network import Network
from .base import CHARACTERS, PICTURES, TASKS, Task, check_task, name_of

__all__ = ["CHARACTERS", "PICTURES", "TASKS", "Task", "expect", "of"]


def of(*models: Network) -> Task:
    """The task of a model, or of several that vote; one that says nothing of it is taken to name classes."""
    return _made(name_of(models[0]) or PICTURES, models)


def expect(name: str, *models: Network) -> Task:
    """The task of this name with these models; raises TinynetError for a model of another task, naming the verb that fits."""
    for model in models:
        check_task(model, name)
    return _made(name, models)


def _made(name: str, models: tuple[Network, ...]) -> Task:
    return import_module(f".{name}", __name__).TASK(*models)
