"""What we add to Locust's web UI."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from scenarios.clients.web_pages import add_pages


@pytest.fixture
def storm() -> list[bool]:
    return [False]


@pytest.fixture
def client(storm: list[bool]) -> FlaskClient:
    app = Flask("locust")

    @app.route("/swarm", methods=["POST"])
    @app.route("/below/swarm", methods=["POST"])
    def swarm() -> str:
        return "started"

    add_pages(
        app, metrics=lambda: "generator_workers 2\n", busy=lambda: storm[0], hidden=["allow_remote", "x"]
    )
    return app.test_client()


def test_metrics_are_prometheus_text(client: FlaskClient) -> None:
    answer = client.get("/metrics")
    assert answer.text == "generator_workers 2\n"
    assert answer.content_type == "text/plain; version=0.0.4; charset=utf-8"


@pytest.mark.parametrize("path", ["/swarm", "/below/swarm"])
def test_the_form_starts_tests_with_what_it_shows(client: FlaskClient, path: str) -> None:
    assert client.post(path, data={"user_count": "3"}).text == "started"


@pytest.mark.parametrize("path", ["/swarm", "/below/swarm"])
def test_the_form_cannot_lift_a_guard_rail(client: FlaskClient, path: str) -> None:
    answer = client.post(path, data={"user_count": "3", "x": "1", "allow_remote": "true"})
    assert (answer.status_code, answer.text) == (403, "allow_remote, x: only on the command line\n")


def test_nobody_starts_a_test_in_the_middle_of_a_storm(client: FlaskClient, storm: list[bool]) -> None:
    storm[0] = True
    answer = client.post("/swarm", data={"user_count": "3"})
    assert (answer.status_code, answer.text) == (
        409,
        "a storm is under way: its run starts and stops the clients\n",
    )
    assert client.get("/metrics").status_code == 200
