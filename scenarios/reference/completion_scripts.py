"""How each shell asks for completions, and how it is answered."""

import os
from typing import Any, ClassVar

from click.shell_completion import CompletionItem, FishComplete, ShellComplete, ZshComplete, split_arg_string

BREAKS = "=:"
"""Characters at which bash may begin a new word within one argument."""

BASH = """\
%(complete_func)s() {
    local IFS=$'\\n' line kind value
    COMPREPLY=()
    for line in $(env COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_WORDBREAKS="$COMP_WORDBREAKS" \\
        %(complete_var)s=bash_complete "$1" 2>/dev/null); do
        IFS=',' read -r kind value <<< "$line"
        case "$kind" in
            file) compopt -o default ;;
            dir) compopt -o dirnames ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done
    if [[ "${COMPREPLY[0]}" == *[=./] ]]; then
        compopt -o nospace
    fi
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""

ZSH = """\
#compdef %(prog_name)s

%(complete_func)s() {
    local -a plain described unfinished
    local line kind value text
    for line in ${(f)"$(env COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT-1)) \\
        %(complete_var)s=zsh_complete ${~words[1]} 2>/dev/null)"}; do
        IFS=$'\\t' read -r kind value text <<< "$line"
        case "$kind" in
            (file) _path_files ;;
            (dir) _path_files -/ ;;
            (plain)
                if [[ "$value" == *[=./] ]]; then
                    unfinished+=("$value")
                elif [[ -n "$text" ]]; then
                    described+=("${value//:/\\\\:}:$text")
                else
                    plain+=("$value")
                fi ;;
        esac
    done
    (( $#unfinished )) && compadd -U -S '' -V unsorted -a unfinished
    (( $#described )) && _describe -V unsorted described -U
    (( $#plain )) && compadd -U -V unsorted -a plain
    return 0
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    %(complete_func)s "$@"
else
    compdef %(complete_func)s %(prog_name)s
fi
"""


class Bash(ShellComplete):
    """bash, which cuts an argument at `=` and `:` and wants to be told only what follows."""

    name: ClassVar[str] = "bash"
    source_template: ClassVar[str] = BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        """The arguments before the cursor, and the one that is being typed."""
        line = os.environ["COMP_LINE"]
        words = split_arg_string(line)[1:]
        typing = words and not line[-1:].isspace()
        self._typed = words.pop() if typing else ""
        return words, self._typed

    def format_completion(self, item: "CompletionItem[Any]") -> str:
        """One line of the answer."""
        breaks = set(BREAKS) & set(os.environ.get("COMP_WORDBREAKS", BREAKS))
        cut = max((self._typed.rfind(letter) + 1 for letter in breaks), default=0)
        return f"{item.type},{item.value[cut:] if item.type == 'plain' else item.value}"


class Zsh(ZshComplete):
    """zsh; words that go on get no space behind them."""

    source_template: ClassVar[str] = ZSH

    def format_completion(self, item: "CompletionItem[str]") -> str:
        """One line of the answer."""
        return f"{item.type}\t{item.value}\t{' '.join((item.help or '').split())}"


SHELLS: dict[str, type[ShellComplete]] = {"bash": Bash, "zsh": Zsh, "fish": FishComplete}
