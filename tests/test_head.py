"""The head of a generator: what it keeps when nobody listens."""

from test_collector import interval

from scenarios.clients.head import Head
from scenarios.clients.messages import GeneratorSettings
from scenarios.model import Scenario


def test_without_a_runner_seconds_do_not_pile_up() -> None:
    settings = GeneratorSettings(scenario=Scenario(), epoch_ns=0)
    head = Head(settings, remote=False, obey=lambda _: None, quit_run=lambda: None)
    for second in range(3):
        head.on_interval(interval(second))
    assert head.waiting == 0
    head.stop()
