"""What a trained network is for: one file a task, named as the `task` of a model's file names it, with a class `TASK`.

A task has one network, or several that vote, and three words: `answer` makes of one input, as people hold it, the answers;
`evaluate` makes of data, as `read` reads them, measures; `show` makes of either what people read.
"""

from __future__ import annotations

from importlib import import_module
from typing import TypeVar

from ..network import Network
from .base import PICTURES, TASKS, Task, check_task, name_of

__all__ = ["TASKS", "Task", "expect", "of"]

Kind = TypeVar("Kind", bound=Task)


def of(*models: Network) -> Task:
    """The task of a model, or of several that vote; one that says nothing of it is taken to name classes."""
    name = name_of(models[0]) or PICTURES
    return import_module(f".{name}", __name__).TASK(*models)


def expect(kind: type[Kind], *models: Network) -> Kind:
    """The task of this kind with these models; raises TinynetError for a model of another, naming the verb that fits."""
    for model in models:
        check_task(model, kind.name)
    return kind(*models)
