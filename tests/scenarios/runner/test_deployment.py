"""Where the parts of a run are to be: what is said before anything starts."""

import pytest

from scenarios.host.token import TOKEN_VARIABLE
from scenarios.runner import deployment
from scenarios.scenario.model import Scenario, Target
from scenarios.stack.remote.site import GATEWAYS, NGINX

EXTERNAL = Scenario(target=Target(url="http://127.0.0.1:9"))


@pytest.mark.parametrize("has_site", [True, False])
def test_a_site_that_has_no_part_in_a_run_against_a_target_is_named(
    has_site: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv(GATEWAYS, raising=False)
    if has_site:
        monkeypatch.setenv(GATEWAYS, "127.0.0.1:7001")
        monkeypatch.setenv(NGINX, "127.0.0.1:7002")
        monkeypatch.setenv(TOKEN_VARIABLE, "a token of these tests")
    deployment.check([EXTERNAL, EXTERNAL])
    assert caplog.text.count(f"{GATEWAYS}: no part in a run against target.url") == has_site
