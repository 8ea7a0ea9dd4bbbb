"""Who may join a pod whose tokens expire."""

import asyncio
import time
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request

from gateway_stub import tokens
from gateway_stub.app import Pod
from gateway_stub.protocol import Settings

NOW_NS = 1_700_000_000_000_000_000
OLD, NEW = str(NOW_NS - 6_000_000_000), str(NOW_NS - 4_000_000_000)
TOKENS: dict[str, tuple[object, bool]] = {
    "new": (NEW, True),
    "expired": (OLD, False),
    "issued by a clock that is ahead": (str(NOW_NS + 10**9), True),
    "none": (None, False),
    "empty": ("", False),
    "no time": ("sesame", False),
    "digits of another script": ("١٢٣", False),
    "no text": (NOW_NS, False),
}


@pytest.mark.parametrize(("token", "valid"), TOKENS.values(), ids=TOKENS)
def test_a_token_is_valid_for_its_lifetime(token: object, valid: bool) -> None:
    assert tokens.is_valid(token, 5.0, NOW_NS) is valid


def test_a_token_is_valid_from_the_moment_in_which_it_is_issued() -> None:
    assert tokens.is_valid(tokens.issue(3), 60.0, time.time_ns())


HEADERS = {
    "bearer": ({"Authorization": "Bearer 17"}, "17"),
    "in lower case": ({"Authorization": "bearer 17"}, "17"),
    "of another kind": ({"Authorization": "Basic 17"}, ""),
    "none": ({}, None),
}


@pytest.mark.parametrize(("headers", "token"), HEADERS.values(), ids=HEADERS)
def test_a_header_has_a_token(headers: dict[str, str], token: str | None) -> None:
    assert tokens.in_headers(headers) == token


FRESH, STALE = "fresh", "stale"
REFUSALS: dict[str, tuple[float, str, str, int, str]] = {
    # lifetime, token in the header, token in auth: status of the upgrade, message of the CONNECT_ERROR
    "nobody is asked for a token": (0, "", "", 200, ""),
    "a fresh token in the header": (60, FRESH, "", 200, ""),
    "a fresh token in auth": (60, "", FRESH, 200, ""),
    "an expired token in the header": (60, STALE, FRESH, 403, ""),
    "an expired token in auth": (60, "", STALE, 200, tokens.EXPIRED),
    "no token": (60, "", "", 200, tokens.EXPIRED),
}


@pytest.mark.parametrize(
    ("lifetime_s", "header", "auth", "status", "refused"), REFUSALS.values(), ids=REFUSALS
)
def test_a_pod_refuses_expired_tokens_where_it_sees_them(
    lifetime_s: float, header: str, auth: str, status: int, refused: str
) -> None:
    issued = {FRESH: tokens.issue(1), STALE: "1"}

    async def attempt() -> tuple[int, str]:
        pod = Pod(Settings(token="t", token_lifetime_s=lifetime_s))
        headers = {"Authorization": f"Bearer {issued[header]}"} if header else {}
        request = make_mocked_request("GET", "/socket.io/?EIO=4&transport=websocket", headers)
        if not pod._may_open(request):
            return 403, ""
        payload: Any = {"token": issued[auth]} if auth else None
        return 200, "" if pod._may_join(request, payload) else tokens.EXPIRED

    assert asyncio.run(attempt()) == (status, refused)
