"""With a certificate the service speaks TLS and nothing else, and its cookies stay there."""

import datetime
import http.client
import ipaddress
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from runtime.appliance.service.client import ServiceAway, ServiceClient
from tests.runtime.appliance.service.service_bench import PATIENCE_S, served


@pytest.fixture
def service(tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "scope.lab")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "tls.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "tls.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    with served(tmp_path, 'certificate = "tls.pem"\nkey = "tls.key"') as service:
        yield service


def test_it_is_spoken_to_whoever_trusts_the_certificate(service, tmp_path):
    url, token = f"https://127.0.0.1:{service.port}", service.tokens["look"]
    trusting = ServiceClient(url=url, token=token, authority=tmp_path / "tls.pem")
    assert trusting.ask("GET", "/api/v1/me")["role"] == "look"
    with pytest.raises(ServiceAway, match="CERTIFICATE_VERIFY_FAILED"):
        ServiceClient(url=url, token=token).ask("GET", "/api/v1/me")
    with pytest.raises(ServiceAway):
        ServiceClient(url=url.replace("https", "http"), token=token).ask("GET", "/api/v1/me")


def test_a_cookie_is_for_tls_alone(service, tmp_path):
    context = ssl.create_default_context(cafile=tmp_path / "tls.pem")
    line = http.client.HTTPSConnection(
        "127.0.0.1", service.port, context=context, timeout=PATIENCE_S
    )
    line.request("POST", "/api/v1/session", f'{{"token": "{service.tokens["look"]}"}}')
    answer = line.getresponse()
    assert answer.status == 200
    assert "Secure" in answer.headers["Set-Cookie"]
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
    answer.read()
    line.close()
