"""The models of stock clients do what the real libraries do, under virtual time at a hostile server."""

from collections.abc import Mapping

import pytest

from scenarios.policies.registry import policy
from scenarios.policies.stock.catalogue import STOCK
from scenarios.policies.stock.client import StockClient
from tests.conformance.comparison import differences
from tests.conformance.conftest import Record
from tests.conformance.scripts import SCRIPTS, Script, modelled

MODEL_CLIENTS = 1_000
FEW = 20
SEED = 7

WITHOUT: Mapping[str, set[str]] = {"socketio-python": {"no answer"}}
"""Scripts that make no sense for a client, by its name."""
MORE: Mapping[str, Mapping[str, Script]] = {}
"""Scripts about what only this client does."""

NODE = [name for name, kind in STOCK.items() if kind.package.startswith("npm:")]
PYTHON = [name for name, kind in STOCK.items() if kind.package.startswith("pypi:")]


def scripts_of(name: str) -> dict[str, Script]:
    without = WITHOUT.get(name, set())
    return {key: script for key, script in SCRIPTS.items() if key not in without} | dict(MORE.get(name, {}))


def conforms(name: str, record: Record) -> None:
    client = policy(name)
    assert isinstance(client, StockClient)
    scripts = scripts_of(name)
    found = record(name, scripts)
    _, _, package = client.package.partition(":")
    assert found.package == package
    said = []
    if found.version != client.version:
        said.append(f"version {found.version} is installed, the model is of {client.version}")
    for key, script in scripts.items():
        # Two long chains have enough attempts; elsewhere many clients make the model's side precise.
        clients = FEW if len(script.steps) > 100 else MODEL_CLIENTS
        model = modelled(client, script, clients, SEED)
        said += [f"{key}: {line}" for line in differences(found.chains[key], model)]
    assert not said, "\n".join([f"{name} and {package} {found.version} differ:", *said])
    assert sum(len(chain) for chains in found.chains.values() for chain in chains) >= 2_000


@pytest.mark.conformance
@pytest.mark.needs_node
@pytest.mark.parametrize("name", NODE)
def test_the_model_of_a_client_in_javascript_is_what_the_library_does(
    name: str, node_clients: Record
) -> None:
    conforms(name, node_clients)


@pytest.mark.conformance
@pytest.mark.parametrize("name", PYTHON)
def test_the_model_of_a_client_in_python_is_what_the_library_does(name: str, python_clients: Record) -> None:
    conforms(name, python_clients)


def test_every_script_that_is_left_out_or_added_belongs_to_a_client() -> None:
    assert {*WITHOUT, *MORE} <= {*NODE, *PYTHON}
    assert {key for keys in WITHOUT.values() for key in keys} <= {*SCRIPTS}
