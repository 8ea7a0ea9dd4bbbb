"""The completion scripts of shells."""

import click

from scenarios.reference.completion import script
from scenarios.reference.completion_scripts import SHELLS

HOW = """\
bash   reconnect-storm completion bash > ~/.local/share/bash-completion/completions/reconnect-storm
       or, in ~/.bashrc:  eval "$(reconnect-storm completion bash)"
zsh    reconnect-storm completion zsh > ~/.zfunc/_reconnect-storm
       with, in ~/.zshrc before compinit:  fpath+=~/.zfunc
fish   reconnect-storm completion fish > ~/.config/fish/completions/reconnect-storm.fish

The folder of the file has to exist. New shells then complete commands, options, scenarios, keys of --set and
their values."""


@click.command("completion")
@click.argument("shell", type=click.Choice([*SHELLS]), required=False)
def completion_command(shell: str | None) -> None:
    """Print the completion script of a shell.

    Without a shell, says how to install each script.
    """
    click.echo(script(shell) if shell else HOW)
