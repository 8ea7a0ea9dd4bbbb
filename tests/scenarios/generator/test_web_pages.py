"""What we add to Locust's web UI."""

import pytest
from flask import Blueprint, Flask, request
from flask.testing import FlaskClient
from flask_cors import CORS

from scenarios.generator.metrics import add_pages
from scenarios.generator.web_door import Door


@pytest.fixture
def storm() -> list[bool]:
    return [False]


@pytest.fixture
def client(storm: list[bool]) -> FlaskClient:
    app = Flask("locust")
    CORS(app)
    pages = Blueprint("locust", "locust", url_prefix="/below")

    @pages.route("/swarm", methods=["POST"])
    def swarm() -> str:
        return "started"

    @pages.route("/stop", methods=["POST"])
    def stop() -> str:
        return "stopped"

    @app.route("/elsewhere", methods=["POST"])
    def elsewhere() -> str:
        return request.get_data(as_text=True)

    app.register_blueprint(pages)
    add_pages(
        app,
        metrics=lambda: "generator_workers 2\n",
        busy=lambda: storm[0],
        door=Door(targets=frozenset({"http://nginx:8080"})),
    )
    return app.test_client()


def test_metrics_are_prometheus_text(client: FlaskClient) -> None:
    answer = client.get("/metrics")
    assert answer.text == "generator_workers 2\n"
    assert answer.content_type == "text/plain; version=0.0.4; charset=utf-8"


def test_the_form_starts_tests_with_what_it_shows(client: FlaskClient) -> None:
    assert client.post("/below/swarm", data={"user_count": "3"}).text == "started"
    assert (
        client.post("/below/swarm", data={"user_count": "3", "host": "http://nginx:8080"}).text == "started"
    )


@pytest.mark.parametrize(
    ("more", "answer"),
    [
        ({"x": "1", "allow_remote": "true"}, "allow_remote, x: only on the command line\n"),
        ({"host": "http://victim"}, "host: expected the target that this process was started with\n"),
    ],
)
def test_the_form_cannot_lift_a_guard_rail(client: FlaskClient, more: dict[str, str], answer: str) -> None:
    refused = client.post("/below/swarm", data={"user_count": "3", **more})
    assert (refused.status_code, refused.text) == (403, answer)


def test_of_two_hosts_each_is_looked_at(client: FlaskClient) -> None:
    refused = client.post("/below/swarm", data={"host": ["http://nginx:8080", "http://victim"]})
    assert refused.status_code == 403


@pytest.mark.parametrize("origin", ["http://evil.test", "null"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(
            ("POST", "/below/swarm"),
            ("POST", "/below/stop"),
            ("OPTIONS", "/below/swarm"),
            ("GET", "/metrics"),
        ),
        *(("GET", "/not-there"), ("GET", "/below/swarm")),
    ],
)
def test_no_other_page_may_read_an_answer(client: FlaskClient, method: str, path: str, origin: str) -> None:
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    answer = client.open(path, method=method, headers=headers)
    assert not [name for name, _ in answer.headers if name.lower().startswith("access-control-")]
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert path == "/metrics" or answer.status_code >= 400


def test_a_page_of_a_locustfile_still_gets_its_body(client: FlaskClient) -> None:
    answer = client.post("/elsewhere", data='{"a": 1}', content_type="application/json")
    assert answer.text == '{"a": 1}'


def test_another_name_for_this_machine_is_refused(client: FlaskClient) -> None:
    answer = client.get("/metrics", headers={"Host": "evil.test:8089"})
    assert answer.status_code == 421
    assert "generator" not in answer.text


def test_nobody_starts_a_test_in_the_middle_of_a_storm(client: FlaskClient, storm: list[bool]) -> None:
    storm[0] = True
    answer = client.post("/below/swarm", data={"user_count": "3"})
    assert (answer.status_code, answer.text) == (
        409,
        "a storm is under way: its run starts and stops the clients\n",
    )
    assert client.get("/metrics").status_code == 200
