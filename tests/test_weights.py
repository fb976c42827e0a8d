"""Weight files: where they are found, how they are fetched from a server on this machine, and what goes wrong."""

import hashlib
import http.server
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from codec_lib import weights
from codec_lib.errors import MissingWeights, UsageError

DATA = bytes(range(256)) * 9000  # 2.3 MB: three reads
SHA = hashlib.sha256(DATA).hexdigest()
SHARED_WEIGHTS = Path(__file__).resolve().parents[1].parent / "shared" / "weights"


class Server(http.server.BaseHTTPRequestHandler):
    requests: list[str] = []

    def do_GET(self):
        Server.requests.append(self.path)
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        if self.path != "/nolength":
            self.send_header("Content-Length", str(len(DATA)))
        self.end_headers()
        self.wfile.write(DATA[: len(DATA) // 2] if self.path == "/cut" else DATA)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as s:
        threading.Thread(target=s.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{s.server_port}"
        s.shutdown()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.delenv("CODEC_LIB_WEIGHTS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    Server.requests.clear()
    return tmp_path / "codec_lib" / "weights"


@pytest.fixture
def table(monkeypatch):
    """table(url, ..., sha256=...) makes an entry 'thing' with the one file thing.bin."""

    def put(*urls, sha256=SHA):
        file = weights.WeightFile("thing.bin", urls, sha256, len(DATA))
        monkeypatch.setitem(weights.TABLE, "thing", weights.Weights("a thing", "MIT", ("a test",), (file,)))

    return put


def test_the_table_is_complete():
    for name, entry in weights.TABLE.items():
        assert entry.about and entry.licence and entry.used_by, name
        for file in entry.files:
            assert file.urls and all(u.startswith("https://") for u in file.urls) and file.bytes > 0
            # torchvision's names carry the first eight digits of the digest: ours must agree with them.
            if file.urls[0].startswith(weights.TORCHVISION):
                assert file.sha256.startswith(file.name.rpartition("-")[2].removesuffix(".pth"))
        for file in (*entry.files, *entry.instead_of_first):
            assert len(file.sha256) in (0, 8, 64) and set(file.sha256) <= set("0123456789abcdef")


def test_every_weight_that_a_metric_needs_is_in_the_table():
    from codec_lib.metrics import METRICS, metric

    for name in METRICS:
        needs = metric(name).needs
        assert needs is None or name in weights.TABLE[needs].used_by


def test_search_path(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "c"))
    monkeypatch.setenv("CODEC_LIB_WEIGHTS", f"{tmp_path / 'a'}:{tmp_path / 'b'}")
    assert weights.search_path() == [tmp_path / "a", tmp_path / "b", tmp_path / "c" / "codec_lib" / "weights"]
    monkeypatch.delenv("CODEC_LIB_WEIGHTS")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert weights.search_path() == [Path.home() / ".cache" / "codec_lib" / "weights"]


def test_get_then_find(server, cache, table):
    table(server + "/ok")
    with pytest.raises(MissingWeights, match="weights get thing") as missing:
        weights.find("thing")
    assert str(cache) in str(missing.value) and server in str(missing.value) and "2.3 MB" in str(missing.value)
    assert weights.paths("thing") is None and weights.verify("thing") == {"thing.bin": "missing"}
    seen = []
    path = weights.get("thing", lambda done, total: seen.append((done, total)))
    assert path == cache / "thing.bin" == weights.find("thing") and path.read_bytes() == DATA
    assert seen[-1] == (len(DATA), len(DATA)) and len(seen) >= 3 and seen == sorted(seen)
    assert weights.verify("thing") == {"thing.bin": "ok"} and weights.checked("thing") == {"thing.bin": path}
    weights.get("thing")
    assert Server.requests == ["/ok"]  # what is there is not fetched again
    assert [p.name for p in cache.iterdir()] == ["thing.bin"]


def test_digest_prefix_and_no_announced_length(server, cache, table):
    table(server + "/nolength", sha256=SHA[:8])
    seen = []
    weights.get("thing", lambda done, total: seen.append((done, total)))
    assert weights.verify("thing") == {"thing.bin": "ok"} and seen[-1] == (len(DATA), 0)


def test_wrong_digest_leaves_nothing(server, cache, table):
    table(server + "/ok", sha256="0" * 64)
    with pytest.raises(MissingWeights, match="could not fetch thing.bin.*/ok .*should begin with 0000") as error:
        weights.get("thing")
    assert "\n" not in str(error.value) and list(cache.iterdir()) == []


def test_interrupted_download_leaves_nothing(server, cache, table):
    table(server + "/cut")
    with pytest.raises(MissingWeights, match=f"could not fetch thing.bin.*{len(DATA) // 2} of {len(DATA)} bytes"):
        weights.get("thing")
    assert list(cache.iterdir()) == []


def test_the_next_source_is_tried(server, cache, table):
    table(server + "/missing", server + "/cut", server + "/ok")
    weights.get("thing")
    assert Server.requests == ["/missing", "/cut", "/ok"] and weights.find("thing").read_bytes() == DATA


def test_no_network_is_one_clear_line(cache, table):
    table("http://127.0.0.1:9/thing.bin")
    with pytest.raises(MissingWeights) as error:
        weights.get("thing")
    text = str(error.value)
    assert "http://127.0.0.1:9/thing.bin" in text and str(cache) in text and "refused" in text and "\n" not in text
    assert error.value.exit_status == 1


def test_unwritable_folder(server, tmp_path, cache, table):
    table(server + "/ok")
    (tmp_path / "file").write_text("")
    with pytest.raises(MissingWeights, match="cannot write to .*below"):
        weights.get("thing", folder=tmp_path / "file" / "below")


def test_damaged_file_is_seen_and_replaced(server, cache, table):
    table(server + "/ok")
    cache.mkdir(parents=True)
    (cache / "thing.bin").write_bytes(DATA[:-1])
    assert weights.verify("thing") == {"thing.bin": "wrong digest"}
    with pytest.raises(MissingWeights, match="damaged.*delete it and run `python -m codec_lib weights get thing`"):
        weights.checked("thing")
    weights.get("thing")
    assert weights.checked("thing")["thing.bin"].read_bytes() == DATA


def test_named_folder_comes_first_and_is_not_written_to(server, cache, table, tmp_path, monkeypatch):
    table(server + "/ok")
    own = tmp_path / "own"
    own.mkdir()
    monkeypatch.setenv("CODEC_LIB_WEIGHTS", str(own))
    assert weights.get("thing") == cache / "thing.bin" and list(own.iterdir()) == []
    (own / "thing.bin").write_bytes(DATA)
    assert weights.find("thing") == own / "thing.bin"


def test_another_form_of_the_first_file(cache, table, monkeypatch):
    table("http://127.0.0.1:9/never")
    other = weights.WeightFile("features.bin", (), SHA, len(DATA))
    monkeypatch.setitem(weights.TABLE, "thing", replace(weights.TABLE["thing"], instead_of_first=(other,)))
    cache.mkdir(parents=True)
    (cache / "features.bin").write_bytes(DATA)
    assert weights.find("thing") == weights.get("thing") == cache / "features.bin"
    assert weights.verify("thing") == {"features.bin": "ok"}
    (cache / "features.bin").write_bytes(b"x")
    with pytest.raises(MissingWeights, match="damaged"):
        weights.checked("thing")


def test_entry_of_two_files_needs_both(server, cache, table, monkeypatch):
    table(server + "/ok")
    second = weights.WeightFile("below/second.bin", (server + "/ok2",), SHA, len(DATA))
    entry = weights.TABLE["thing"]
    monkeypatch.setitem(weights.TABLE, "thing", replace(entry, files=(*entry.files, second)))
    cache.mkdir(parents=True)
    (cache / "thing.bin").write_bytes(DATA)
    with pytest.raises(MissingWeights) as error:
        weights.find("thing")
    assert "second.bin" in str(error.value) and "thing.bin (" not in str(error.value)
    weights.get("thing")
    assert Server.requests == ["/ok2"]
    assert list(weights.checked("thing")) == ["thing.bin", "below/second.bin"]


def test_unknown_name():
    with pytest.raises(UsageError, match="unknown weights 'vmaf'.*lpips-squeeze"):
        weights.find("vmaf")


def test_shared_backbone_has_the_digest_in_the_table(monkeypatch, cache):
    if not (SHARED_WEIGHTS / "squeezenet1_1_features.pth").is_file():
        pytest.skip("needs ../shared/weights/squeezenet1_1_features.pth beside the repository")
    monkeypatch.setenv("CODEC_LIB_WEIGHTS", str(SHARED_WEIGHTS))
    assert weights.verify("lpips-squeeze") == {"squeezenet1_1_features.pth": "ok"}


def test_the_module_is_light():
    code = "import sys, codec_lib.weights; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
