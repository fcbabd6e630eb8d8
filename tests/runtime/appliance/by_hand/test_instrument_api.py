"""The instrument by hand over the API: who may, what is refused, what a frame comes with."""

import json

import pytest

from runtime.appliance.service.api.instrument_endpoints import FIGURES, INSTRUMENT
from tests.runtime.appliance.by_hand.made_up_instrument import ABOUT, OPENED
from tests.runtime.appliance.service.service_bench import served

SEEN = {"done": {"sharpness": 0.5, "level": 0.4, "saturated": 0.0, "stage_um": [0, 0, 0]}}


@pytest.fixture(scope="module")
def standing(tmp_path_factory):
    with served(tmp_path_factory.mktemp("service")) as service:
        yield service


@pytest.fixture
def service(standing):
    """A service whose instrument nobody has, and was asked for nothing yet."""
    standing("POST", f"{INSTRUMENT}/close", {}, role="administer")
    standing.bench.instrument.orders.clear()
    return standing


def opened(service):
    answer = service("POST", f"{INSTRUMENT}/open", {})
    assert answer.status == 200, answer.content
    return answer.json["lease"]


def what(answer):
    return answer.json["error"]["what"]


def test_it_is_opened_looked_through_moved_and_closed(service):
    closed = service("GET", INSTRUMENT, role="look").json
    assert closed == {"by_hand": None, "about": None, "objectives": ["10x", "20x"]}
    key = opened(service)
    shown = service("GET", INSTRUMENT, role="look").json
    assert (shown["by_hand"]["by"], shown["about"]) == ("operateer", ABOUT)
    assert key not in json.dumps(shown)
    service.bench.instrument.answers = [SEEN]
    query = f"lease={key}&exposure_ms=20&brightness=0.25&width=640"
    frame = service("GET", f"{INSTRUMENT}/frame?{query}")
    assert (frame.status, frame.headers["content-type"], frame.content) == (
        200,
        "image/jpeg",
        b"jpeg",
    )
    assert json.loads(frame.headers[FIGURES]) == SEEN["done"]
    assert frame.headers["cache-control"] == "no-store"
    assert service("POST", f"{INSTRUMENT}/jog", {"lease": key, "dz_um": -2.5}).json == ABOUT
    assert service("POST", f"{INSTRUMENT}/focus", {"lease": key, "range_um": 80.0}).json == ABOUT
    lamp = {"channel": "brightfield", "brightness": 0.5, "exposure_ms": 10.0}
    assert service.bench.instrument.orders[1:] == [
        {
            "do": "look",
            "with": lamp | {"exposure_ms": 20.0, "brightness": 0.25, "width_px": 640},
        },
        {"do": "jog", "with": {"dx_um": 0.0, "dy_um": 0.0, "dz_um": -2.5}},
        {"do": "focus", "with": lamp | {"range_um": 80.0}},
    ]
    assert service("POST", f"{INSTRUMENT}/close", {"lease": key}).status == 200
    assert not service.bench.instrument.running
    assert service("POST", f"{INSTRUMENT}/close", {"lease": key}).status == 200
    gone = service("POST", f"{INSTRUMENT}/jog", {"lease": key, "dx_um": 1.0})
    assert gone.status == 409
    assert "not open for this page any more" in what(gone)


def test_who_only_looks_lights_and_moves_nothing(service):
    key = opened(service)
    for method, path in (
        ("POST", "open"), ("POST", "close"), ("POST", "jog"), ("POST", "focus"),
        ("GET", f"frame?lease={key}"), ("HEAD", f"frame?lease={key}"),
    ):  # fmt: skip
        assert service(method, f"{INSTRUMENT}/{path}", role="look").status == 403, path
    assert len(service.bench.instrument.orders) == 1


def test_a_second_operator_hears_who_has_it_and_an_administrator_may_close_it(service):
    key = opened(service)
    token = service.bench.service.tokens.make(name="ben", role="operate")
    bearer = {"Authorization": f"Bearer {token}"}
    second = service("POST", f"{INSTRUMENT}/open", {}, role=None, headers=bearer)
    assert (second.status, what(second)) == (409, "operateer has the instrument open by hand")
    closing = service("POST", f"{INSTRUMENT}/close", {}, role=None, headers=bearer)
    assert closing.status == 403
    stranger = service(
        "POST", f"{INSTRUMENT}/jog", {"lease": "guessed", "dx_um": 1.0}, role=None, headers=bearer
    )
    assert stranger.status == 409
    assert service("POST", f"{INSTRUMENT}/close", {}, role="administer").status == 200
    assert service("POST", f"{INSTRUMENT}/jog", {"lease": key}).status == 409
    happened = service.bench.service.store.happenings()
    assert happened[-1].words == "administerer closed the instrument"


def test_a_cookie_moves_nothing_without_the_header_that_other_sites_cannot_send(service):
    key = opened(service)
    session = service("POST", "/api/v1/session", {"token": service.tokens["operate"]}, role=None)
    own = {"Cookie": session.headers["set-cookie"].partition(";")[0]}
    body = {"lease": key, "dx_um": 1.0}
    assert service("POST", f"{INSTRUMENT}/jog", body, role=None, headers=own).status == 403
    marked = own | {"X-Nightscope": "1"}
    assert service("POST", f"{INSTRUMENT}/jog", body, role=None, headers=marked).status == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("jog", {"dx_um": 1.0}),
        ("jog", {"lease": "x", "dx_um": "1"}),
        ("jog", {"lease": "x", "dx_um": 1e300}),
        ("jog", {"lease": "x", "up_um": 1.0}),
        ("focus", {"lease": "x", "range_um": 0.0}),
        ("focus", {"lease": "x", "brightness": 1.5}),
        ("open", {"objective": ""}),
    ],
)
def test_what_is_no_order_is_refused_before_it_reaches_the_instrument(service, path, body):
    service.bench.instrument.answers = [OPENED]
    assert service("POST", f"{INSTRUMENT}/{path}", body).status == 422
    assert service.bench.instrument.orders == []


@pytest.mark.parametrize("query", ["", "lease=x&width=9", "lease=x&exposure_ms=nan", "lease=x&a=1"])
def test_what_is_no_look_is_refused(service, query):
    assert service("GET", f"{INSTRUMENT}/frame?{query}").status == 422
