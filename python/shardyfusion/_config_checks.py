"""What the classes of `shardyfusion.config` share: they check themselves when they are made."""

from __future__ import annotations

from typing import Protocol

from .errors import ConfigValidationError


class ValidatableConfig(Protocol):
    def validate(self) -> None: ...


def validate_configs(*configs: ValidatableConfig | None) -> None:
    for config in configs:
        if config is not None:
            config.validate()


def refuse(wrong: bool, message: str) -> None:
    if wrong:
        raise ConfigValidationError(message)


def check_positive(name: str, value: object, *, optional: bool = False, kind: type | tuple[type, ...] = int) -> None:
    if optional and value is None:
        return
    good = isinstance(value, kind) and not isinstance(value, bool) and 0 < value < float("inf")  # type: ignore[operator]
    refuse(not good, f"{name} is above 0{' or None' if optional else ''}, given {value!r}")


def check_flag(name: str, value: object) -> None:
    refuse(not isinstance(value, bool), f"{name} is True or False, given {value!r}")


class Checked:
    """A dataclass that checks itself when it is made."""

    def __post_init__(self) -> None:
        self.validate()

    def validate(self) -> None:
        raise NotImplementedError
