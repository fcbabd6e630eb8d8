"""The service is reached by nobody else unless that is said, and then not in the clear."""

import pytest

from runtime.config.settings import parse_settings
from runtime.errors import ConfigRefused
from tests.simulated import SIMULATED


def service(tmp_path, lines):
    text = f"{SIMULATED}\n[service]\n{lines}\n"
    return parse_settings(text, source=tmp_path / "settings.toml").service


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "::", "scope.lab"])
def test_beyond_this_machine_only_by_tls(tmp_path, host):
    with pytest.raises(ConfigRefused, match="tokens would pass in the clear"):
        service(tmp_path, f'host = "{host}"')
    found = service(tmp_path, f'host = "{host}"\ncertificate = "tls.pem"\nkey = "/keys/tls.key"')
    assert (found.certificate, str(found.key)) == (tmp_path / "tls.pem", "/keys/tls.key")
    assert service(tmp_path, f'host = "{host}"\nplain_http = true').plain_http


def test_half_of_tls_is_refused(tmp_path):
    with pytest.raises(ConfigRefused, match="belong together"):
        service(tmp_path, 'certificate = "tls.pem"')


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_this_machine_needs_none(tmp_path, host):
    found = service(tmp_path, f'host = "{host}"')
    assert found.state == tmp_path / "service"
