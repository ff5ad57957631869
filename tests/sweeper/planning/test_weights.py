"""Weights are there before a job starts, or one line says what to do; fetched over real TLS from a local server."""

import datetime
import hashlib
import http.server
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from runners.contract.errors import UserError
from sweeper.planning import weights
from sweeper.planning.weights import cache_folder, fetch_weights, needed_weights
from sweeper.planning.zoo import checkpoint_address
from tests.composition import compose

CONTENT = b"PK\x03\x04" + bytes(100_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()[:8]


class Server:
    """An HTTPS server on the loopback whose answers a test chooses by path."""

    def __init__(self, folder: Path) -> None:
        self.requests: list[str] = []
        certificate = _write_certificate(folder)
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests.append(self.path)
                if self.path.startswith("/missing"):
                    self.send_error(404)
                    return
                if self.path.startswith("/plain"):
                    self.send_response(302)
                    self.send_header("Location", "http://127.0.0.1:9/file.pth")
                    self.end_headers()
                    return
                body = CONTENT[:50_000] if self.path.startswith("/cut") else CONTENT
                if self.path.startswith("/flaky") and len(server.requests) < 3:
                    body = CONTENT[:10]
                self.send_response(200)
                self.send_header("Content-Length", str(len(CONTENT)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.address = f"https://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(weights, "PAUSE_S", 0.0)
    server = Server(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.pem"))
    yield server
    server.close()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return cache_folder()


@pytest.mark.parametrize(
    ("backbone", "name"),
    [
        ("resnet18", "resnet18-f37072fd.pth"),
        ("resnet50", "resnet50-0676ba61.pth"),
        ("resnext101_64x4d", "resnext101_64x4d-ee2c6f71.pth"),
        ("swin_l", "swin_large_patch4_window12_384_22k.pth"),
    ],
)
def test_a_job_needs_its_backbones_file(backbone: str, name: str, cache: Path) -> None:
    (needed,) = needed_weights(compose("dataset=shapes", f"backbone={backbone}"))
    assert needed.path == cache / name
    assert needed.address is not None
    assert needed.address.startswith("https://")
    assert needed.address.endswith(f"/{name}")


def test_a_job_from_coco_needs_the_detector_alone(cache: Path) -> None:
    (needed,) = needed_weights(compose("dataset=shapes", "weights=coco", "backbone=resnet101"))
    assert needed.address == checkpoint_address("faster-rcnn_r101_fpn_1x_coco")
    assert needed.path == cache / "faster_rcnn_r101_fpn_1x_coco_20200130-f513f705.pth"


def test_a_job_from_scratch_needs_nothing() -> None:
    assert needed_weights(compose("dataset=shapes", "weights=none")) == []
    fetch_weights([compose("dataset=shapes", "weights=none")])


@pytest.mark.parametrize(
    ("pair", "is_known"),
    [
        ("detector=retinanet backbone=resnet18", True),
        ("detector=cascade_rcnn backbone=resnext101_64x4d", True),
        ("detector=faster_rcnn neck=pafpn", True),
        ("detector=faster_rcnn backbone=resnet18", False),
        ("detector=faster_rcnn backbone=swin_t", False),
        ("detector=cascade_rcnn neck=pafpn", False),
    ],
)
def test_only_pairs_of_the_zoo_start_from_coco(pair: str, is_known: bool) -> None:
    overrides = ["dataset=shapes", "weights=coco", *pair.split()]
    if is_known:
        assert compose(*overrides)["load_from"].endswith(".pth")
    else:
        with pytest.raises(Exception, match=r"no COCO weights in weights\.model: .* is not in mmdet's zoo"):
            compose(*overrides)


def test_a_missing_file_is_fetched_once(server: Server, cache: Path) -> None:
    config = _config(f"{server.address}/net-{DIGEST}.pth")
    told: list[str] = []
    fetch_weights([config, config], told.append)
    fetch_weights([config], told.append)
    assert (cache / f"net-{DIGEST}.pth").read_bytes() == CONTENT
    assert len(server.requests) == len(told) == 1
    assert [path.name for path in cache.iterdir()] == [f"net-{DIGEST}.pth"]


def test_a_broken_download_is_tried_again(server: Server, cache: Path) -> None:
    fetch_weights([_config(f"{server.address}/flaky-{DIGEST}.pth")])
    assert len(server.requests) == 3
    assert (cache / f"flaky-{DIGEST}.pth").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("missing.pth", "Not Found"),
        (f"cut-{DIGEST}.pth", "IncompleteRead|cut short"),
        ("cut.pth", "IncompleteRead|cut short"),
        ("net-0123abcd.pth", f"SHA-256 begins with {DIGEST}, not with 0123abcd"),
        ("plain.pth", "http"),
    ],
)
def test_what_cannot_be_fetched_leaves_nothing_and_says_what_to_do(
    path: str, reason: str, server: Server, cache: Path
) -> None:
    address = f"{server.address}/{path}"
    with pytest.raises(UserError, match=reason) as raised:
        fetch_weights([_config(address)])
    (problem,) = raised.value.problems
    for told in (address, str(cache), "weights=file weights.path=", "3 tries"):
        assert told in problem
    assert "\n" not in problem
    assert list(cache.iterdir()) == []


def test_an_unknown_certificate_is_refused(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(UserError, match=r"(?i)certificate"):
        fetch_weights([_config(f"{server.address}/net-{DIGEST}.pth")])


def test_all_missing_files_are_told_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "PAUSE_S", 0.0)
    html = tmp_path / "page.pth"
    html.write_text("<html>")
    configs = [_config("https://127.0.0.1:9/a.pth"), _config(str(tmp_path / "none.pth")), _config(str(html))]
    with pytest.raises(UserError) as raised:
        fetch_weights(configs)
    refused, missing, page = raised.value.problems
    assert "https://127.0.0.1:9/a.pth cannot be fetched" in refused
    assert "no such file" in missing
    assert "not a PyTorch file in weights.path" in page


def test_a_damaged_file_in_the_cache_is_not_trained_on(cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / "net-0123abcd.pth").write_bytes(CONTENT)
    with pytest.raises(UserError, match="does not begin with SHA-256 0123abcd; delete the file"):
        fetch_weights([_config("https://127.0.0.1:9/net-0123abcd.pth")])


@pytest.mark.parametrize("reference", ["http://localhost/a.pth", "torchvision://resnet5"])
def test_an_unknown_kind_of_address_is_refused(reference: str) -> None:
    with pytest.raises(UserError, match=r"backbone\.imagenet"):
        fetch_weights([_config(reference)])


def _config(reference: str) -> dict[str, object]:
    return {"model": {"backbone": {"init_cfg": {"type": "Pretrained", "checkpoint": reference}}}, "load_from": None}


def _write_certificate(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path
