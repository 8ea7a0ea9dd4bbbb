"""Options of the locustfile, and what they say about tests that are started by hand."""

from time import monotonic_ns, time_ns
from typing import Any

import msgspec
from locust.argument_parser import LocustArgumentParser
from msgspec import Struct

from scenarios.scenario.loader import load
from scenarios.scenario.model import Scenario
from scenarios.scenario.validate import ScenarioError
from scenarios.wire.orders import GeneratorSettings


class Choice(Struct, frozen=True):
    """What the command line said about tests that are started by hand; no form and no message changes it."""

    scenario: Scenario
    """Its target has the URL, or an empty one where none was given."""
    allow_remote: bool

    def settings(self) -> GeneratorSettings:
        """Settings of a test that begins now. Raises ScenarioError."""
        if not self.scenario.target.url:
            raise ScenarioError("--host: missing: expected http://host:port of a gateway")
        return GeneratorSettings(
            scenario=self.scenario, epoch_ns=epoch_of_1970(), allow_remote=self.allow_remote
        )


def add_arguments(parser: LocustArgumentParser) -> None:
    """Locust options of this locustfile."""
    parser.add_argument(
        "--scenario",
        default="mass-drop",
        include_in_web_ui=False,
        help="Scenario that defines fleet, feed and target: a name from the catalogue, or a file.",
    )
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        include_in_web_ui=False,
        help="Override a key of the scenario, for example target.namespace=/feed; may be repeated.",
    )
    parser.add_argument(
        "--allow-remote",
        action="store_true",
        default=False,
        include_in_web_ui=False,
        help="Allow a --host outside this host's loopback; only with the owner's permission.",
    )
    parser.add_argument(
        "--own-target",
        default="",
        metavar="URL",
        include_in_web_ui=False,
        help="Your own gateway on another host, instead of --host; clients connect to no other target.",
    )
    parser.add_argument(
        "--web-name",
        dest="web_names",
        action="append",
        default=[],
        metavar="HOST",
        include_in_web_ui=False,
        help="Host name that the web UI accepts besides this host's loopback and addresses; may be repeated.",
    )
    parser.add_argument(
        "--channel-host",
        default="127.0.0.1",
        metavar="ADDRESS",
        include_in_web_ui=False,
        help="Listen address of a long-running master for runs that use it; default: this host's loopback.",
    )
    parser.add_argument(
        "--channel-port",
        type=int,
        default=0,
        metavar="PORT",
        include_in_web_ui=False,
        help="Listen port for runs that use this master. They need the token in RECONNECT_STORM_TOKEN, or in"
        " the file that RECONNECT_STORM_TOKEN_FILE names. 0: no run can use it.",
    )


def choice_of(options: Any) -> Choice:
    """What --host or --own-target, --scenario and --set say. Raises ScenarioError."""
    if options.own_target and options.host:
        raise ScenarioError("--own-target: not supported together with --host: expected one of the two")
    scenario = load(options.scenario, options.overrides)
    url = options.own_target or options.host or scenario.target.url
    return Choice(
        msgspec.structs.replace(scenario, target=msgspec.structs.replace(scenario.target, url=url)),
        allow_remote=options.allow_remote or bool(options.own_target),
    )


def epoch_of_1970() -> int:
    """Seconds that count from 1970 are the same on several machines."""
    return monotonic_ns() - time_ns()
