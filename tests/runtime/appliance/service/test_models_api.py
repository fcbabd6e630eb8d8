"""A bundle sent to the service goes through the door that every bundle goes through."""

import pytest

from runtime.appliance.service.api.model_endpoints import MODELS
from tests.runtime.appliance.models.devices import NAME, looked_at
from tests.runtime.appliance.service.service_bench import served


@pytest.fixture
def service(tmp_path, forge):
    keys = tmp_path / "device/shelf/keys"
    keys.mkdir(parents=True)
    for key in forge.keys.glob("*.pub"):
        (keys / key.name).write_bytes(key.read_bytes())
    with served(tmp_path / "device", examine=looked_at) as service:
        yield service


def send(service, content, role="administer"):
    return service("POST", MODELS, content, role=role)


def listed(service):
    return service("GET", MODELS, role="look").json["models"]


def test_a_model_is_installed_tried_rolled_back_and_confirmed(service, maker):
    done = send(service, maker("1.0.0"))
    assert done.status == 200, done.content
    assert done.json["version"] == "1.0.0"
    (row,) = listed(service)
    assert (row["name"], row["version"], row["state"]) == (NAME, "1.0.0", "active")
    assert row["trial"] == {"good": 0, "needed": 50}
    assert service("POST", f"{MODELS}/{NAME}/confirm", {}, role="operate").status == 403
    assert service("POST", f"{MODELS}/{NAME}/confirm", role="administer").status == 200
    send(service, maker("1.1.0"))
    assert listed(service)[0]["previous"] == "1.0.0"
    back = service("POST", f"{MODELS}/{NAME}/rollback", role="administer")
    assert back.json["version"] == "1.0.0"
    assert [row["version"] for row in listed(service)] == ["1.0.0"]
    assert service.bench.said().count("model") == 4


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda bundle: bundle[: len(bundle) // 2], "bundle"),
        (lambda bundle: bundle[:-40] + bytes(40), "bundle"),
        (lambda _: b"", "bundle"),
        (lambda _: b"{}", "bundle"),
    ],
)
def test_what_is_no_whole_bundle_is_refused_and_changes_nothing(service, maker, spoil, what):
    send(service, maker("1.0.0"))
    refused = send(service, spoil(maker("1.1.0")))
    assert refused.status == 422, refused.content
    assert what in refused.json["error"]["what"]
    assert [row["version"] for row in listed(service)] == ["1.0.0"]


def test_only_who_administers_may_install(service, maker):
    for role in ("look", "operate", None):
        assert send(service, maker("1.0.0"), role).status in (401, 403)
    assert listed(service) == []


def test_a_model_that_is_not_there_is_refused(service):
    for verb in ("confirm", "rollback"):
        assert service("POST", f"{MODELS}/nothing/{verb}", role="administer").status == 422
