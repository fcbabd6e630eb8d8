"""The description agrees with the service: whatever is sent, what comes back is described there."""

import json
import re
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.appliance.views import views
from tests.runtime.appliance.service.service_bench import PLAN, served

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
NAMES = st.sampled_from(
    ["plan", "settings", "start_at", "position", "held", "night", "tile", "region", "token"]
)
BODIES = (
    st.dictionaries(NAMES, JSON | st.just(PLAN) | st.integers(0, 3), max_size=3).map(json.dumps)
    | JSON.map(json.dumps)
    | st.binary(max_size=40)
)
IDS = st.integers().map(str) | st.text(min_size=1, max_size=8) | st.sampled_from(["1", "2"])


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with served(tmp_path_factory.mktemp("service"), "requests_per_s = 10000") as service:
        service.document = service("GET", "/api/v1/openapi.json").json
        yield service


OPEN = {("get", "/"), ("get", "/health"), ("get", "/static/{file}"), ("post", "/api/v1/session")}


def test_every_endpoint_is_described_with_its_role_and_refusals(service):
    document = service.document
    operations = {
        (method, path): operation
        for path, verbs in document["paths"].items()
        for method, operation in verbs.items()
    }
    assert {key for key, one in operations.items() if not one["security"]} == OPEN
    for key, operation in operations.items():
        assert key in OPEN or {"401", "403", "429"} <= set(operation["responses"])
        assert key in OPEN or "Needs the role" in operation["description"]
        named = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", key[1]))
    ids = [operation["operationId"] for operation in operations.values()]
    assert len(set(ids)) == len(ids)


def test_views_pictures_and_what_they_are_asked_are_described(service, tmp_path):
    paths = service.document["paths"]
    assert {"/metrics", "/health", "/api/v1/openapi.json", "/api/v1/instrument/jog"} <= set(paths)
    for view in views(tmp_path):
        told = paths[f"/api/v1{view.path}"]["get"]
        assert list(told["responses"]["200"]["content"]) == [view.media]
        asks = {one["name"] for one in told.get("parameters", ()) if one["in"] == "query"}
        assert asks == set(view.asks)
    frame = paths["/api/v1/instrument/frame"]["get"]["parameters"]
    assert [one["name"] for one in frame if one["required"]] == ["lease"]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_sent_the_answer_is_described(service, data):
    paths = service.document["paths"]
    path = data.draw(st.sampled_from(sorted(p for p in paths if not p.endswith("/events"))))
    method = data.draw(st.sampled_from(sorted(paths[path])))
    role = data.draw(st.sampled_from(["operate", "administer", "look", None]))
    body = data.draw(BODIES)
    filled = re.sub(r"{\w+}", lambda _: quote(data.draw(IDS), safe=""), path)
    service.bench.clock.sleep(duration_s=60)  # guesses are forgiven
    content = body if isinstance(body, bytes) else body.encode()
    answer = service(method.upper(), filled, content, role=role)
    assert answer.status < 500, answer.content
    if filled.count("/") == path.count("/"):  # an id of another shape leads to another address
        assert str(answer.status) in paths[path][method]["responses"], (filled, answer)
    if answer.status >= 400:
        assert set(answer.json) == {"error"}
