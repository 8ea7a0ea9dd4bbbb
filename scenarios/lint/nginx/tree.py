"""nginx's configuration as a tree of directives, and what a block inherits."""

from collections.abc import Iterator

from msgspec import Struct

from scenarios.lint.finding import Place

_HARMLESS_INCLUDES = (
    "mime.types",
    "fastcgi",
    "uwsgi",
    "scgi",
    "ssl",
    "resolver",
    "security",
    "upstream",
    "gzip",
    "log",
    "deny",
    "block",
    "letsencrypt",
    "error_page",
    "modules-enabled",
    "conf.d/",
    "sites-enabled/",
)
"""Parts of the names of files that set nothing about WebSockets, whether or not they can be read."""
_PROXY_PARAMS = ("Host", "X-Real-IP", "X-Forwarded-For", "X-Forwarded-Proto")
"""Headers that Debian's file proxy_params sets."""


class Directive(Struct, frozen=True):
    """A directive; a block has the directives in it, included files in the place of their `include`."""

    name: str
    args: tuple[str, ...]
    place: Place
    block: tuple["Directive", ...] | None = None

    @property
    def value(self) -> str:
        """The first argument; empty without any."""
        return self.args[0] if self.args else ""

    def option(self, name: str) -> str | None:
        """The value of an argument such as `zone=one`; None where it is missing."""
        start = f"{name}="
        return next((word[len(start) :] for word in self.args if word.startswith(start)), None)

    @property
    def unread(self) -> bool:
        """Whether it is an include of an unknown file that may set anything; a pattern may have no files."""
        return self.name == "include" and not any(
            part in self.value for part in (*_HARMLESS_INCLUDES, "proxy_params", "*")
        )


class Scope(Struct, frozen=True):
    """A block with the blocks around it."""

    directive: Directive
    outer: "Scope | None" = None

    @property
    def place(self) -> Place:
        """Where it begins."""
        return self.directive.place

    @property
    def chain(self) -> Iterator["Scope"]:
        """Itself and the blocks around it, from the inside."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.outer

    def own(self, *names: str) -> list[Directive]:
        """The directives of these names that stand in the block itself."""
        return [one for one in self.directive.block or () if one.name in names]

    def inherited(self, name: str) -> list[Directive]:
        """The directives of this name that apply: those of the innermost block that has any."""
        return next((found for scope in self.chain if (found := scope.own(name))), [])

    def value(self, name: str) -> str | None:
        """The first argument of a directive that applies; None: not set."""
        found = self.inherited(name)
        return found[-1].value if found else None

    def around(self, name: str) -> "Scope | None":
        """The innermost block of this name that it is, or is in."""
        return next((scope for scope in self.chain if scope.directive.name == name), None)

    def unsure_of(self, name: str) -> bool:
        """Whether a file that could not be read may set this directive for the block.

        A file without a server or location is one that others include, so anything may be set around it.
        """
        for scope in self.chain:
            if any(one.unread for one in scope.own("include")):
                return True
            if scope.own(name):
                return False
            if scope.directive.name in {"", "http"}:
                return scope is self
        return False

    def headers(self) -> dict[str, Directive]:
        """The request headers that apply, by lower-case names; one of its own replaces all inherited ones."""
        for scope in self.chain:
            # Of two with one name nginx sends both, but for an empty one.
            own = sorted(scope.own("proxy_set_header"), key=lambda one: bool(one.args[1:] and one.args[1]))
            found = {one.value.lower(): one for one in own if len(one.args) > 1}
            for one in scope.own("include"):
                if "proxy_params" in one.value:
                    found = {**{name.lower(): one for name in _PROXY_PARAMS}, **found}
            if found:
                return found
        return {}

    def inner(self) -> Iterator["Scope"]:
        """Itself and all blocks in it."""
        yield self
        for one in self.directive.block or ():
            if one.block is not None:
                yield from Scope(one, self).inner()

    def everything(self) -> Iterator[Directive]:
        """All directives in it, at any depth."""
        for scope in self.inner():
            yield from scope.directive.block or ()
