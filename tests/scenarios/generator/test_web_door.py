"""Who is let in at Locust's web UI: the rules alone."""

from collections.abc import Mapping
from typing import Any

import pytest

from scenarios.generator.web_door import FORM_KEYS, START, Door, Request, host_names

HERE = "127.0.0.1:8089"
DOOR = Door(
    names=host_names("0.0.0.0", ["locust-master"], ["10.1.2.3", "fd00::7"]),
    targets=frozenset({"http://nginx:8080"}),
)
FORM = {"user_count": ["3"], "spawn_rate": ["3"]}
STOP, RESET, USER = "locust.stop", "locust.reset_stats", "locust.update_user"
CHANGING = (START, STOP, RESET)


def status(page: str = START, method: str = "POST", **keys: Any) -> int:
    """What a request is answered with; 200 where it is let in."""
    headers: Mapping[str, str] = {"host": HERE, **keys.pop("headers", {})}
    form = keys.pop("form", FORM if page == START else {})
    refusal = DOOR.refusal(Request(method=method, page=page, headers=headers, form=form, **keys))
    return refusal.status if refusal else 200


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "localhost:8089", "LOCALHOST:1", "127.0.0.1", "127.9.9.9:80", "[::1]", "[::1]:8089"),
        *("locust-master:8089", "Locust-Master", "10.1.2.3:8089", "[fd00::7]:8089"),
    ],
)
def test_the_web_ui_answers_under_its_own_names(host: str) -> None:
    assert status(headers={"host": host}) == 200
    assert status("", "GET", headers={"host": host}) == 200


@pytest.mark.parametrize(
    "host",
    [
        *("", "evil.test", "evil.test:8089", "127.0.0.1.evil.test", "localhost.evil.test", "localhost."),
        *("evil@127.0.0.1", "127.0.0.1@evil.test", "127.0.0.1/evil", "127.0.0.1,evil.test", "127.0.0.1 "),
        *("0.0.0.0:8089", "[::]:8089", "192.0.2.1", "2130706433", "127.0.0.1:x", "[::1", "nginx:8080", "*"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_name_that_somebody_else_has_led_here_is_refused(host: str, method: str) -> None:
    for page in ("", "locust.index", "show_metrics", *CHANGING):
        assert status(page, method, headers={"host": host}) == 421


FOREIGN = [
    {"origin": "http://evil.test"},
    {"origin": "null"},
    {"origin": ""},
    {"origin": "http://127.0.0.1:3000"},
    {"origin": "http://127.0.0.1"},
    {"origin": "http://localhost:8089"},
    {"origin": f"http://{HERE}.evil.test"},
    {"origin": f"http://evil.test@{HERE}"},
    {"origin": f"file://{HERE}"},
    {"origin": "http://[::1"},
    {"origin": f"http://{HERE}", "sec-fetch-site": "cross-site"},
    {"origin": f"http://{HERE}", "referer": "http://evil.test/"},
    {"origin": "null", "sec-fetch-site": "same-origin"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": ""},
    {"sec-fetch-site": "Same-Origin "},
    {"referer": "http://evil.test/"},
    {"referer": f"http://evil.test/http://{HERE}/"},
]
"""What a browser says of another page, whether that hides itself or not."""


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
@pytest.mark.parametrize("page", [*CHANGING, USER, "page_of_a_locustfile", ""])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_another_page_changes_nothing(headers: dict[str, str], page: str, method: str) -> None:
    assert status(page, method, headers=headers) == 403


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
@pytest.mark.parametrize("page", CHANGING)
def test_another_page_changes_nothing_by_reading_either(headers: dict[str, str], page: str) -> None:
    assert status(page, "GET", headers=headers, form={}) == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": f"http://{HERE}"},
        {
            "origin": f"https://{HERE}",
            "sec-fetch-site": "same-origin",
            "referer": f"https://{HERE}/?tab=logs",
        },
        {"sec-fetch-site": "none"},
    ],
    ids=str,
)
@pytest.mark.parametrize("page", [*CHANGING, "page_of_a_locustfile"])
def test_its_own_page_and_programs_are_let_in(headers: dict[str, str], page: str) -> None:
    assert status(page, headers=headers) == 200


@pytest.mark.parametrize("page", ["locust.index", "locust.request_stats", "show_metrics", ""])
def test_whoever_follows_a_link_may_look(page: str) -> None:
    assert (
        status(page, "GET", headers={"sec-fetch-site": "cross-site", "referer": "http://wiki.test/"}) == 200
    )


def test_nobody_changes_the_users_of_a_test_through_the_web_ui() -> None:
    assert status(USER) == 403
    assert status("locust.whatever_comes_next") == 403


@pytest.mark.parametrize("key", sorted(FORM_KEYS))
def test_a_form_may_set_this(key: str) -> None:
    assert status(form={**FORM, key: ["1"]}) == 200


@pytest.mark.parametrize(
    "key",
    [
        *("scenario", "overrides", "allow_remote", "own_target", "web_names", "channel_host", "channel_port"),
        *("storm", "locustfile", "html_file", "csv_prefix", "json_file", "enable_rebalancing", "autoquit"),
        *("master_host", "headless", "Host", "HOST", "host ", "users", "", "__class__", "logfile", "config"),
    ],
)
def test_a_form_may_set_nothing_else(key: str) -> None:
    assert status(form={**FORM, key: ["1"]}) == 403


@pytest.mark.parametrize(
    ("hosts", "answer"),
    [
        (["http://nginx:8080"], 200),
        (["http://nginx:8080", "http://nginx:8080"], 200),
        (["http://victim.test"], 403),
        (["http://nginx:8080", "http://victim.test"], 403),
        (["http://nginx:8080/"], 403),
        (["http://nginx:8080@victim.test"], 403),
        (["HTTP://NGINX:8080"], 403),
        ([""], 403),
    ],
    ids=str,
)
def test_a_form_may_name_the_target_that_there_is_and_no_other(hosts: list[str], answer: int) -> None:
    assert status(form={**FORM, "host": hosts}) == answer


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/form-data", "application/xml"])
def test_what_is_no_form_starts_nothing(kind: str) -> None:
    assert status(content_type=kind, form={}) == 415
    assert status(content_type="application/x-www-form-urlencoded") == 200


def test_a_query_starts_nothing() -> None:
    assert status(query=("host",)) == 403
