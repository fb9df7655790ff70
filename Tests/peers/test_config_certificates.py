"""Certificates nobody can connect with: `kerb-cpo config check` and `doctor` say so before a fleet stays away."""
import datetime
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from edge_site import BIN, ENVIRONMENT
from test_config_check import CPO, check, folder, place  # noqa: F401


def self_signed(folder, name, days):
    """A certificate and its key that ended, or end, in so many days."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)
    certificate = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(1).not_valid_before(end - datetime.timedelta(days=90)).not_valid_after(end)
        .sign(key, hashes.SHA256()))
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}-key.pem").write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    (folder / f"{name}-key.pem").chmod(0o600)


@pytest.mark.parametrize("change, marker, said", [
    (("server.pem", "old.pem"), "old.pem", "old.pem has expired; nobody connects with it: renew it"),
    (("key.pem", "other-key.pem"), "other-key.pem", "other-key.pem is not the key of"),
    (("  caFile: ca.pem\n", "  stationsURL: wss://cpo.example.com/ocpp\n  caFile: other.pem\n"), "server.pem",
     "is not signed by `ocpp.caFile`"),
])
def test_a_certificate_nobody_can_connect_with_is_told(folder, change, marker, said):
    self_signed(folder, "old", -1)
    self_signed(folder, "other", 30)
    text = CPO.replace(*change, 1)
    if marker == "old.pem":
        text = text.replace("keyFile: key.pem", "keyFile: old-key.pem")
    (folder / "cpo.yaml").write_text(text)
    done = check("kerb-cpo", folder / "cpo.yaml")
    assert done.returncode == 2
    assert f"{folder / 'cpo.yaml'}:{place(text, marker)}: " in done.stderr and said in done.stderr
    doctor = subprocess.run(
        [str(BIN / "kerb-cpo"), "doctor", "--config", str(folder / "cpo.yaml")], capture_output=True, text=True,
        env=ENVIRONMENT, timeout=30)
    assert doctor.returncode == 1 and "BAD  certificate: " in doctor.stdout and said in doctor.stdout


def test_a_listener_that_stations_do_not_use_may_have_another_authority(folder):
    self_signed(folder, "public", 30)
    text = CPO.replace("  - name: people\n    port: 8080\n", (
        "  - name: people\n    port: 8444\n    tls: {certificateFile: public.pem, keyFile: public-key.pem}\n"))
    assert text != CPO
    (folder / "cpo.yaml").write_text(text + "  stationsURL: wss://cpo.example.com:8443/ocpp\n")
    done = check("kerb-cpo", folder / "cpo.yaml")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("wanted, isTold", [("Another operator", True), ("TEST", False)])
def test_an_authority_whose_certificates_the_door_would_refuse_is_told(folder, wanted, isTold):
    (folder / "cpo.yaml").write_text(
        CPO + f"  certificateOrganisation: {wanted}\nauthority: {{folder: {folder}, organisation: Test}}\n")
    done = check("kerb-cpo", folder / "cpo.yaml")
    said = f"`authority.organisation` is Test and `ocpp.certificateOrganisation` {wanted}: "
    assert (said in done.stderr) == isTold, done.stderr
    assert (done.returncode == 2) == isTold, done.stderr


def test_the_doctor_says_where_the_database_is_not(folder):
    text = CPO + "database: sqlite:/nowhere/kerb.sqlite\n"
    (folder / "cpo.yaml").write_text(text)
    doctor = subprocess.run(
        [str(BIN / "kerb-cpo"), "doctor", "--config", str(folder / "cpo.yaml")], capture_output=True, text=True,
        env=ENVIRONMENT, timeout=30)
    assert "BAD  database: database: /nowhere is not there" in doctor.stdout and "Failure(" not in doctor.stdout
