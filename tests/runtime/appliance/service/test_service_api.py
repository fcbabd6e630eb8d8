"""The API from outside, over a real socket: who gets in, what is refused, what watchers hear."""

import json
import re
import socket

import pytest

from runtime.appliance.service.api import bounded_protocol, event_stream, gate
from tests.runtime.appliance.service.service_bench import PLAN, served


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with served(tmp_path_factory.mktemp("service")) as service:
        yield service


def error(answer):
    return answer.json["error"]


def test_nothing_but_health_is_answered_without_a_token(service):
    service("POST", "/api/v1/queue", {"plan": PLAN})
    assert service("GET", "/health", role=None).json == {"ok": True, "night": None}
    document = service("GET", "/api/v1/openapi.json").json
    paths = [(method, path) for path, verbs in document["paths"].items() for method in verbs]
    more = [("get", "/api/v1/none"), ("post", "/"), ("put", "/health2"), ("get", "/api")]
    open_ones = {}
    for method, path in [*paths, *more]:
        answer = service(method.upper(), re.sub("{.*?}", "1", path), {}, role=None)
        if answer.status not in (401, 403):
            open_ones[path] = (method, answer.status)
        assert b"corner" not in answer.content
    assert open_ones == {
        "/api/v1/session": ("post", 422),
        "/health": ("get", 200),
        "/": ("get", 200),  # the page itself, the same for everybody
        "/static/{file}": ("get", 404),
    }
    assert service("GET", "/nothing", role=None).status == 404
    assert service("GET", "/api/v1/runs", role=None).status == 401
    assert service("GET", "/api/v1/runs", role="look").status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/../../../../etc/passwd",
        "/static/../../../../../etc/passwd",
        "/static/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/static//etc/passwd",
        "/api/v1/runs/..%2f..%2f..%2fetc/files/passwd",
        "/api/v1/runs/%2e%2e/files/settings.toml",
        "/api/v1/runs/x/files/..%2f..%2fsettings.toml",
        "/api/v1/queue/..%2f..%2fetc",
    ],
)
def test_paths_that_climb_lead_nowhere(service, path):
    for role in ("administer", None):
        answer = service("GET", path, role=role)
        assert answer.status in ((404, 405) if role or "/api/" not in path else (401,))
        assert b"root:" not in answer.content
        assert b"[stage]" not in answer.content


def test_a_wrong_token_is_refused_and_guessing_is_slowed(tmp_path):
    with served(tmp_path) as service:
        refused = service("GET", "/api/v1/me", role=None, headers={"Authorization": "Bearer no"})
        assert (refused.status, refused.headers["www-authenticate"]) == (401, "Bearer")
        for _ in range(gate.GUESSES - 1):
            guess = {"token": "nightscope_no"}
            last = service("POST", "/api/v1/session", guess, role=None)
        wrong = {"Authorization": "Bearer nightscope_no"}
        assert service("GET", "/api/v1/me", role=None, headers=wrong).status == 429
        assert service("POST", "/api/v1/session", guess, role=None).status == 429
        assert service("GET", "/api/v1/me").status == 200  # another one at that address
        assert last.status == 401
        service.bench.clock.sleep(duration_s=gate.GUESSES_S)
        assert service("GET", "/api/v1/me").json == {"name": "operateer", "role": "operate"}


@pytest.mark.parametrize(
    ("role", "method", "path", "status"),
    [
        ("look", "GET", "/api/v1/state", 200),
        ("look", "GET", "/metrics", 200),
        ("look", "POST", "/api/v1/queue", 403),
        ("look", "POST", "/api/v1/night/abort", 403),
        ("operate", "POST", "/api/v1/night/abort", 409),
        ("operate", "POST", "/api/v1/unknown", 403),
        ("administer", "POST", "/api/v1/unknown", 404),
        ("administer", "PUT", "/api/v1/queue", 405),
    ],
)
def test_a_role_may_what_those_below_it_may(service, role, method, path, status):
    answer = service(method, path, None if method == "GET" else {}, role=role)
    assert answer.status == status
    if status == 403:
        assert error(answer)["value"] == role


def test_a_cookie_changes_nothing_without_the_header_that_other_sites_cannot_send(service):
    opened = service("POST", "/api/v1/session", {"token": service.tokens["operate"]}, role=None)
    cookie = opened.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    own = {"Cookie": cookie.partition(";")[0]}
    ask = lambda **more: service(  # noqa: E731
        "POST", "/api/v1/night/pause", {}, role=None, headers={**own, **more}
    )
    assert service("GET", "/api/v1/me", role=None, headers=own).json["role"] == "operate"
    assert ask().status == 403
    assert "X-Nightscope" in error(ask())["what"]
    marked = {"X-Nightscope": "1"}
    assert service("POST", "/api/v1/night/pause", {}, role=None, headers=own | marked).status == 409
    assert service("DELETE", "/api/v1/session", role=None, headers=own | marked).status == 200
    assert service("GET", "/api/v1/me", role=None, headers=own).status == 401


def test_a_revoked_token_ends_its_sessions_and_only_hashes_are_kept(service):
    tokens, store = service.bench.service.tokens, service.bench.service.store
    token = tokens.make(name="guest", role="look")
    opened = service("POST", "/api/v1/session", {"token": token}, role=None)
    cookie = opened.headers["set-cookie"].partition(";")[0]
    kept = b"".join(file.read_bytes() for file in store.path.parent.glob("service.sqlite*"))
    assert token.encode() not in kept
    assert cookie.partition("=")[2].encode() not in kept
    assert store.revoke("guest") == 1
    assert service("GET", "/api/v1/me", role=None, headers={"Cookie": cookie}).status == 401
    bearer = {"Authorization": f"Bearer {token}"}
    assert service("GET", "/api/v1/me", role=None, headers=bearer).status == 401
    assert store.path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("body", "status", "what"),
    [
        (b"{", 400, "not JSON"),
        (b"[]", 400, "no JSON object"),
        (b'{"plan": "a: ' + b"[" * 100_000 + b'"}', 422, "nested too deeply"),
        (b"[" * 100_000, 400, "not JSON"),
        (b'{"plan": "a: 1", "who": 2}', 422, "who"),
        (json.dumps({"plan": "name: x\nobjective: 10x"}).encode(), 422, "region"),
        (json.dumps({"plan": "/etc/passwd"}).encode(), 400, "not the name of a file there"),
        (json.dumps({"plan": "nothing-there"}).encode(), 422, "No such file"),
        (json.dumps({"plan": PLAN, "start_at": 12}).encode(), 400, "no time a night can start"),
        (b"x" * (gate.BODY_BYTES + 1), 413, "too large"),
    ],
)
def test_bad_bodies_are_refused_with_a_reason(service, body, status, what):
    answer = service("POST", "/api/v1/queue", body)
    assert answer.status == status
    assert what in error(answer)["what"]
    assert set(error(answer)) == {"what", "value", "limit", "remedy"}


def test_a_body_without_a_length_is_cut_off_too(service):
    with service.connect() as line:
        head = "POST /api/v1/queue HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        line.sendall(f"{head}Authorization: Bearer {service.tokens['operate']}\r\n\r\n".encode())
        chunk = b"x" * 65_536
        answered = b""
        try:
            for _ in range(6):
                line.sendall(b"10000\r\n" + chunk + b"\r\n")
            answered = line.recv(4096)
        except ConnectionError:
            pass  # it hung up while more was sent
    assert answered == b"" or b" 413 " in answered


def test_slow_clients_are_let_go(tmp_path, monkeypatch):
    monkeypatch.setattr(bounded_protocol, "HEAD_S", 0.2)
    monkeypatch.setattr(gate, "BODY_S", 0.2)
    with served(tmp_path) as service:
        with service.connect() as line:
            line.sendall(b"GET /health HTTP/1.1\r\nHost:")
            assert hung_up(line)
        monkeypatch.setattr(bounded_protocol, "HEAD_S", 60.0)  # the next one's head may be late
        with service.connect() as line:
            head = "POST /api/v1/queue HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n"
            line.sendall(
                f"{head}Authorization: Bearer {service.tokens['operate']}\r\n\r\n".encode()
            )
            assert b" 408 " in line.recv(4096)


def hung_up(line: socket.socket) -> bool:
    try:
        return line.recv(1) == b""
    except ConnectionResetError:
        return True


def test_one_address_asks_so_often_and_no_more(tmp_path):
    with served(tmp_path, "requests_per_s = 1") as service:
        answers = [service("GET", "/health", role=None).status for _ in range(11)]
        assert answers == [200] * 10 + [429]
        service.bench.clock.sleep(duration_s=1)
        assert service("GET", "/health", role=None).status == 200


def test_watchers_hear_what_happens_and_go_on_where_they_were(service):
    bench = service.bench
    broker = bench.service.broker
    broker.publish("state", bench.service.metrics.state())
    with Watcher(service) as watcher:
        assert watcher.next()["event"] == "state"
        service("POST", "/api/v1/queue", {"plan": PLAN, "start_at": 1_900_000_000})
        first = watcher.next()
        assert (first["event"], json.loads(first["data"])["kind"]) == ("event", "queued")
    service("POST", "/api/v1/queue", {"plan": PLAN, "start_at": 1_900_000_000})
    broker.publish("tile", {"run": "r", "tile": "t", "state": "good", "label": None})
    with Watcher(service, first["id"]) as watcher:
        assert [watcher.next()["event"] for _ in range(2)] == ["event", "tile"]
    with Watcher(service, "of-another-service-9") as watcher:
        assert watcher.next()["event"] == "state"


class Watcher:
    """Reads server-sent events."""

    def __init__(self, service, last_id="", *, role="look"):
        self.line = service.connect()
        self.line.sendall(
            f"GET /api/v1/events HTTP/1.1\r\nHost: x\r\nLast-Event-ID: {last_id}\r\n"
            f"Authorization: Bearer {service.tokens[role]}\r\n\r\n".encode()
        )
        self.file = self.line.makefile("r", encoding="utf-8")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.line.close()

    def next(self):
        found = {}
        for line in self.file:
            name, _, value = line.strip().partition(": ")
            if name in ("id", "event", "data"):
                found[name] = value
            if len(found) == 3:
                return found
        raise AssertionError("the service hung up")


def test_a_watcher_whose_token_is_revoked_is_let_go(service, monkeypatch):
    monkeypatch.setattr(event_stream, "ASK_AGAIN_S", 0.0)
    bench = service.bench.service
    bench.broker.publish("state", {"n": 0})
    service.tokens["guest"] = bench.tokens.make(name="guest", role="look")
    with Watcher(service, role="guest") as watcher:
        watcher.next()
        bench.store.revoke("guest")
        bench.broker.publish("state", {"n": 1})
        told = list(iter(lambda: watcher.file.readline().strip(), "0"))  # the last chunk
        assert not any('"n": 1' in line for line in told)


def test_the_figures_are_those_of_the_state(service):
    page = service("GET", "/metrics", role="look").content.decode()
    assert "nightscope_healthy 1.0" in page
    waiting = [one for one in service("GET", "/api/v1/state").json["queue"] if one["run"] is None]
    assert f'nightscope_queue_plans{{state="waiting"}} {float(len(waiting))}' in page
    assert 'nightscope_events_total{kind="queued"}' in page


def test_health_says_when_a_night_stands_still(tmp_path):
    with served(tmp_path, "stalled_after_s = 60") as service:
        bench = service.bench
        service("POST", "/api/v1/queue", {"plan": PLAN})
        bench.steps()
        assert service("GET", "/health", role=None).json["night"]["state"] == "starting"
        bench.clock.sleep(duration_s=61)
        answer = service("GET", "/health", role=None)
        assert (answer.status, answer.json["ok"]) == (503, False)
        assert answer.json["night"]["age_s"] > 60
        assert "corner" not in answer.content.decode()


def test_fifty_watchers_hear_the_same(tmp_path):
    with served(tmp_path, "requests_per_s = 1000") as service:
        service.bench.service.broker.publish("state", {"n": 0})
        watchers = [Watcher(service) for _ in range(50)]
        for watcher in watchers:
            watcher.next()
        service.bench.service.broker.publish("state", {"n": 1})
        told = [json.loads(watcher.next()["data"]) for watcher in watchers]
        assert told == [{"n": 1}] * 50
        for watcher in watchers:
            watcher.__exit__()
