"""kvctl completion"""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from kvctl.output import print_line
from kvctl.settings import Command


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that makes a shell complete kvctl.

    \b
    source <(kvctl completion bash)                 # in ~/.bashrc
    source <(kvctl completion zsh)                  # in ~/.zshrc
    kvctl completion fish > ~/.config/fish/completions/kvctl.fish
    """
    script = get_completion_class(shell)
    assert script is not None, "click knows the three shells"
    print_line(script(context.find_root().command, {}, "kvctl", "_KVCTL_COMPLETE").source())
