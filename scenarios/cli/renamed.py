"""Options under their former names: hidden, still accepted, with a warning that names the new one."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from scenarios.cli.terminal import complain

_Command = TypeVar("_Command", bound=Callable[..., Any])


def renamed_option(old: str, new: str, parameter: str) -> Callable[[_Command], _Command]:
    """Accepts `old` for `new`, whose value goes to `parameter`; a value given to `new` wins."""

    def forward(ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
        if value is not None:
            complain(f"warning: {old} is now called {new}")
            ctx.default_map = {**(ctx.default_map or {}), parameter: value}

    return click.option(old, hidden=True, expose_value=False, is_eager=True, callback=forward)
