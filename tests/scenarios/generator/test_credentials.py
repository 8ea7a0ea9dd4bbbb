"""The process that issues credentials: started, asked, and ended."""

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

import gevent
import psutil
import pytest

from scenarios.clients.protocol.identity import Form, Identity
from scenarios.credentials.answers import CredentialsError
from scenarios.generator.credentials import IssuerProcess
from scenarios.scenario.program import Credentials

IN_HEADER = Form({"Authorization": "Bearer {token}", "X-Plain": "1"}, {"user": "me"})
IN_AUTH = Form({}, {"token": "{token}"})
DEADLINE_S = 60.0

ECHO = "import sys, json\nfor line in sys.stdin: print('t', json.loads(line)['client'], sep='', flush=True)"
BACKWARDS = """
import sys, json
asked = [json.loads(sys.stdin.readline()) for _ in range(3)]
for one in reversed(asked):
    print(json.dumps({"id": one["id"], "token": f"t{one['client']}"}), flush=True)
sys.stdin.read()
"""
REFUSING = 'import sys\nfor line in sys.stdin: print(\'{"error": "locked out"}\', flush=True)'
TALKATIVE = "import sys\nprint('ready', flush=True)\nsys.stdin.read()"
ENDING = "import sys\nsys.exit(3)"


def asked(
    script: str, clients: int = 3, form: Form = IN_HEADER
) -> tuple[dict[int, Identity | None], list[str]]:
    """What so many clients were answered, and why the process ended, as soon as one of the two is known."""
    command = (sys.executable, "-I", "-S", "-c", script)
    answers: dict[int, Identity | None] = {}
    ends: list[str] = []

    def take(client: int) -> Callable[[Identity | None], None]:
        return lambda identity: answers.update({client: identity})

    issuer = IssuerProcess(Credentials(command=command), form, "", ends.append)
    try:
        for client in range(clients):
            issuer.ask(client, take(client))
        until = monotonic() + DEADLINE_S
        while len(answers) < max(1, clients) and not ends and monotonic() < until:
            gevent.sleep(0.005)
    finally:
        issuer.stop()
    return answers, ends


@pytest.mark.parametrize("script", [ECHO, BACKWARDS], ids=["in order", "by id"])
def test_each_client_gets_its_own_answer(script: str) -> None:
    expected = {
        client: Identity({"Authorization": f"Bearer t{client}"}, {"user": "me"}) for client in range(3)
    }
    assert asked(script) == (expected, [])


def test_an_answer_may_go_into_the_payload_with_which_a_client_joins() -> None:
    answers, _ = asked(ECHO, clients=1, form=IN_AUTH)
    assert answers == {0: Identity({}, {"token": "t0"})}


def test_a_client_without_credentials_is_told_so_and_the_first_reason_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, logger="reconnect_storm"):
        assert asked(REFUSING) == (dict.fromkeys(range(3)), [])
    assert [record.getMessage() for record in caplog.records] == [
        "target.credentials.command: no credentials: locked out"
    ]


ENDS = {
    "ends": (ENDING, "target.credentials.command: it ended (exit status 3): expected it to answer"),
    "says more than it is asked": (TALKATIVE, "a line that answers no question"),
}


@pytest.mark.parametrize(("script", "reason"), ENDS.values(), ids=ENDS)
def test_a_program_that_will_answer_nobody_any_more_ends_the_run(script: str, reason: str) -> None:
    answers, ends = asked(script, clients=0 if script == TALKATIVE else 1)
    assert answers == {}
    assert len(ends) == 1
    assert reason in ends[0]


def test_a_function_is_called_in_a_process_of_its_own() -> None:
    answers: list[Any] = []
    issuer = IssuerProcess(Credentials(function="gateway_stub.tokens:issue"), IN_HEADER, "", answers.append)
    try:
        issuer.ask(1, answers.append)
        until = monotonic() + DEADLINE_S
        while not answers and monotonic() < until:
            gevent.sleep(0.01)
    finally:
        issuer.stop()
    (identity,) = answers
    assert identity.headers["Authorization"].removeprefix("Bearer ").isdecimal()


def test_a_process_that_is_stopped_has_been_waited_for_and_its_pipes_are_closed() -> None:
    issuer = IssuerProcess(Credentials(command=(sys.executable, "-c", ECHO)), IN_HEADER, "", lambda _: None)
    (child,) = psutil.Process().children()
    before = psutil.Process().num_fds()
    issuer.stop()
    assert not child.is_running()
    assert psutil.Process().num_fds() == before - 2


def test_a_program_that_is_not_there_is_told_before_any_client_asks(tmp_path: Path) -> None:
    for command in ("no-such-program", "./mint"):
        with pytest.raises(CredentialsError, match=rf"target\.credentials\.command: {command} was not found"):
            IssuerProcess(Credentials(command=command), IN_HEADER, str(tmp_path), lambda _: None)


def test_a_text_that_is_no_value_of_a_header_is_no_credential() -> None:
    for text in ("a\r\nX-Evil: 1", "", "é", " a"):
        with pytest.raises(CredentialsError, match="no value of a header"):
            Form({"X-Token": "{token}"}, None).filled({"token": text})
