"""How samples become the input of a model, as the model's file says it: the base of each wing's settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, ClassVar, TypeVar

from ..checks import Shape, show_shape
from ..errors import TinynetError

Own = TypeVar("Own", bound="Preparation")


class Preparation:
    """Settings of one kind of data, a frozen dataclass whose numbers are checked when it is made."""

    kind: ClassVar[str]
    """The `kind` of `metadata["input"]`."""
    samples: ClassVar[str]
    """What samples are called: "sounds"."""

    @property
    def input_shape(self) -> Shape:
        """Of one sample."""
        raise NotImplementedError

    @classmethod
    def of(cls: type[Own], model: Any) -> Own:
        """What a model's file says; raises TinynetError where it says something else, or what its network does not take."""
        found = cls.from_settings(model.metadata.get("input"))
        if model.input_shape != found.input_shape:
            raise TinynetError(
                f"{model.name} takes {show_shape(model.input_shape)}, but its {cls.samples} are prepared as {show_shape(found.input_shape)}"
            )
        return found

    @classmethod
    def from_settings(cls: type[Own], settings: Any) -> Own:
        """As `settings` has written it; raises TinynetError for anything else."""
        names = {field.name for field in fields(cls)}  # type: ignore[arg-type]
        if (
            not isinstance(settings, Mapping)
            or settings.keys() - {"kind"} != names
            or settings.get("kind") != cls.kind
        ):
            raise TinynetError(
                f"how {cls.samples} are prepared is said by {', '.join(sorted(names))}, not by {settings!r}"
            )
        return cls(**{name: settings[name] for name in names})

    def settings(self) -> dict[str, Any]:
        """It as a model's file has it."""
        return {"kind": self.kind, **asdict(self)}  # type: ignore[call-overload]
