"""Records and downloads from a local server with the faults of real ones."""

import bz2
import hashlib
import io
import json
import logging
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
from click.testing import CliRunner
from tests.commands import ok

from cgatjax.cli import main
from cgatjax.errors import DownloadError, InputError
from cgatjax.model.model_io import read_model
from cgatjax.preprocessing import downloads, records
from cgatjax.preprocessing.downloads import download
from cgatjax.preprocessing.records import RemoteFile, find_record
from cgatjax.structures.dcgat import write_dcgat
from cgatjax.synthetic.dataset import ionic_crystals

BODY = bytes(range(256)) * 4000
MD5 = f"md5:{hashlib.md5(BODY).hexdigest()}"
FILES: dict[str, bytes] = {}
"""Contents of files other than BODY, by name."""


class Handler(BaseHTTPRequestHandler):
    """Handler whose behavior is given by the path: /cut/a.bin, /stalled/a.bin and so on."""

    asked: ClassVar[Counter] = Counter()
    ranges: ClassVar[list] = []

    def log_message(self, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        kind = self.path.split("/")[1]
        self.asked[self.path] += 1
        if kind in ("doi", "api", "records"):
            self.page(kind)
        elif kind == "missing":
            self.send_error(404, "not here")
        elif kind == "busy" and self.asked[self.path] < 3:
            self.send_error(503)
        else:
            self.send_body(kind)

    def page(self, kind: str) -> None:
        """Redirect a DOI to a page, or send the page or the record below /api."""
        if kind == "doi":
            self.send_response(302)
            self.send_header("Location", f"/records/{self.path.rsplit('/')[-1]}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content = json.dumps(RECORDS.get(self.path, [])).encode()
        self.send_response(200 if kind == "records" or self.path in RECORDS else 404)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def send_body(self, kind: str) -> None:
        body = FILES.get(self.path.rsplit("/")[-1], BODY)
        body = body[::-1] if kind == "wrong" else body
        start = 0
        wanted = self.headers.get("Range")
        if wanted:
            self.ranges.append(wanted)
        if wanted and kind != "whole":
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(body):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        piece = 400_000 if body is BODY else len(body) // 2
        stop = start + piece if kind in ("cut", "whole", "stalled") else len(body)
        if kind == "never":
            stop = start
        if kind == "whole" and self.asked[self.path] == 2:
            stop = len(body)
        self.wfile.write(body[start:stop])
        if kind == "stalled" and stop < len(body):
            self.wfile.flush()
            time.sleep(0.5)
        self.close_connection = True


def entry(size: int | None = len(BODY), **changes: object) -> dict:
    links = {"self": "/metadata", "content": "/cut/a.bin"}
    return {"key": "a.bin", "size": size, "checksum": MD5, "links": links, **changes}


RECORDS = {
    "/api/records/inside": {
        "metadata": {"title": "Crystals"},
        "files": {"enabled": True, "entries": {"a.bin": entry(), "b.bin": entry(key="b.bin")}},
    },
    "/api/records/apart": {"files": {"enabled": True}, "links": {"files": "/api/records/x/files"}},
    "/api/records/x/files": {"entries": [entry()]},
    "/api/records/zenodo": {"files": [entry(links={"self": "/whole/a.bin"})]},
    "/api/records/closed": {"files": {"enabled": False}},
    "/api/records/odd": {"files": [{"key": "a.bin"}]},
    "/api/records/outside": {"files": [entry(key="../a.bin")]},
    "/api/records/crc": {"files": [entry(checksum="crc32:12")]},
}


class Server(ThreadingHTTPServer):
    """Server that ignores clients that hang up."""

    daemon_threads = True

    def handle_error(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    httpd = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    thread.join()
    httpd.server_close()


@pytest.fixture(autouse=True)
def _alone(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    Handler.asked.clear()
    Handler.ranges.clear()
    FILES.clear()


def remote(server: str, kind: str, **changes) -> RemoteFile:
    given = {"name": "a.bin", "url": f"{server}/{kind}/a.bin", "size": len(BODY), "checksum": MD5}
    return RemoteFile(**{**given, **changes})


def test_a_file_is_fetched_once(server, tmp_path):
    came: list[int] = []
    assert download(remote(server, "good"), tmp_path / "new", report=came.append)
    assert (tmp_path / "new" / "a.bin").read_bytes() == BODY
    assert sum(came) == len(BODY)
    assert not download(remote(server, "good"), tmp_path / "new")
    assert Handler.asked["/good/a.bin"] == 1


@pytest.mark.parametrize("size", [len(BODY), None])
def test_interrupted_downloads_are_resumed(server, tmp_path, size):
    came: list[int] = []
    download(remote(server, "cut", size=size), tmp_path, pause=0, report=came.append)
    assert (tmp_path / "a.bin").read_bytes() == BODY
    assert Handler.ranges == ["bytes=400000-", "bytes=800000-"]
    assert sum(came) == len(BODY)


def test_downloads_start_over_without_range_support(server, tmp_path):
    came: list[int] = []
    download(remote(server, "whole"), tmp_path, pause=0, report=came.append)
    assert (tmp_path / "a.bin").read_bytes() == BODY
    assert Handler.asked["/whole/a.bin"] == 2
    assert sum(came) == len(BODY)


def test_stalled_and_busy_servers_are_retried(server, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(records, "TIMEOUT", 0.2)
    caplog.set_level(logging.INFO, "cgatjax")
    for kind in ("stalled", "busy"):
        download(remote(server, kind), tmp_path / kind, pause=0)
        assert (tmp_path / kind / "a.bin").read_bytes() == BODY
    assert "timed out; trying again" in caplog.text
    assert "503" in caplog.text


def test_partial_files_of_earlier_runs_are_resumed(server, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(BODY[:1_000_000])
    download(remote(server, "good"), tmp_path)
    assert Handler.ranges == ["bytes=1000000-"]
    for length in (len(BODY), len(BODY) + 5):
        (tmp_path / "a.bin").unlink()
        (tmp_path / "a.bin.part").write_bytes((BODY + b"extra")[:length])
        download(remote(server, "good"), tmp_path)
        assert (tmp_path / "a.bin").read_bytes() == BODY


def test_files_with_wrong_size_or_checksum_are_removed(server, tmp_path):
    with pytest.raises(DownloadError, match=f"expected {MD5}, got md5:.*file was removed"):
        download(remote(server, "wrong"), tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(DownloadError, match="expected 7 bytes, got 1024000"):
        download(remote(server, "good", size=7), tmp_path)
    # Without size and checksum, nothing is verified.
    download(remote(server, "wrong", size=None, checksum=""), tmp_path)
    with pytest.raises(InputError, match="another file has this name: expected md5"):
        download(remote(server, "good"), tmp_path)


def test_failing_downloads_are_reported(server, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "ATTEMPTS", 2)
    with pytest.raises(DownloadError, match=r"missing/a\.bin: 404 not here"):
        download(remote(server, "missing"), tmp_path)
    (tmp_path / "a.bin.part").write_bytes(BODY[:10])
    with pytest.raises(DownloadError, match="ended early, 2 times in a row; 10 bytes are kept"):
        download(remote(server, "never"), tmp_path, pause=0)
    with pytest.raises(DownloadError, match="expected an address of http or https"):
        download(remote(server, "good", url="file:///etc/hostname"), tmp_path)


@pytest.mark.parametrize(
    ("record", "address"),
    [("inside", "/cut/a.bin"), ("apart", "/cut/a.bin"), ("zenodo", "/whole/a.bin")],
)
def test_a_doi_leads_to_the_files(server, record, address):
    found = find_record(f"{server}/doi/10.1/{record}")
    assert found.url == f"{server}/records/{record}"
    assert found.files[0] == RemoteFile(
        name="a.bin", url=server + address, size=len(BODY), checksum=MD5
    )


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ("closed", "a record with public files"),
        ("odd", "a file with 'links'"),
        ("outside", r"plain file name, got '\.\./a\.bin'"),
        ("crc", "got 'crc32:12'"),
        ("none", "expected a record as JSON: HTTP Error 404"),
    ],
)
def test_invalid_records_are_refused(server, record, message):
    with pytest.raises((DownloadError, InputError), match=message):
        find_record(f"{server}/records/{record}")


def test_invalid_sources_are_refused(server):
    with pytest.raises(InputError, match=r"'cgat-models', 'dcgat-pbe'.*a DOI.*got 'dcgat'"):
        find_record("dcgat")
    with pytest.raises(InputError, match="expected the page of a record"):
        find_record(f"{server}/good/page")
    with pytest.raises(DownloadError, match="check the internet connection"):
        find_record("http://127.0.0.1:9/records/1")


def test_names_of_archives_are_dois():
    assert records._address("dcgat-pbesol-scan") == (
        "https://doi.org/10.24435/materialscloud:5j-9m"
    )
    assert records._address("doi:10.5281/zenodo.8143755") == records._address("cgat-models")


def test_the_command_lists_and_fetches(server, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads.time, "sleep", lambda seconds: None)

    def run(*arguments: str):
        return CliRunner().invoke(main, ["download", f"{server}/records/inside", *arguments])

    listed = run("--list")
    assert "Crystals" in listed.output
    assert f"b.bin  1.0  {MD5}" in listed.output
    fetched = run("--out", str(tmp_path / "new"), "--file", "b*")
    assert "b.bin: fetched" in fetched.output
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["b.bin"]
    assert "b.bin: was there" in run("--out", str(tmp_path / "new"), "--file", "b*").output
    assert "no file matches 'c*'" in run("--list", "--file", "c*").stderr
    assert "--out FOLDER is missing" in run().stderr


def offer(record: str, name: str, **members: bytes) -> None:
    """Serve a record with one archive, with connections that break off half way."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for member, content in members.items():
            file.writestr(member, content)
    FILES[name] = packed.getvalue()
    checksum = f"md5:{hashlib.md5(FILES[name]).hexdigest()}"
    links = {"content": f"/cut/{name}"}
    described = entry(len(FILES[name]), key=name, checksum=checksum, links=links)
    RECORDS[f"/api/records/{record}"] = {"files": {"enabled": True, "entries": {name: described}}}


def test_a_packed_archive_becomes_a_folder_of_crystals(server, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads.time, "sleep", lambda seconds: None)
    content = bz2.compress(write_dcgat(ionic_crystals(5), tmp_path / "a.json").read_bytes())
    offer("packed", "scan.zip", **{"data/scan_000.json.bz2": content})
    command = ("download", f"{server}/records/packed", "--out", tmp_path / "new", "--unpack")
    assert f"{tmp_path / 'new' / 'scan'}: unpacked" in ok(*command)
    assert Handler.ranges
    assert ok(*command).count("was there") == 2
    output = ok("featurize", tmp_path / "new" / "scan", "--out", tmp_path / "s", "--workers", 1)
    assert "5 crystals" in output


def test_a_published_model_becomes_a_run(server, tmp_path, monkeypatch, shared):
    """Download, unpack, import, as described in the documentation."""
    pytest.importorskip("torch", reason='needs torch (the extra "torch")')
    monkeypatch.setattr(downloads.time, "sleep", lambda seconds: None)
    checkpoint = (shared / "reference" / "pretrained_eform.ckpt").read_bytes()
    offer("models", "models.zip", **{"pbe/e-form.ckpt": checkpoint})
    ok("download", f"{server}/records/models", "--out", tmp_path, "--unpack")
    run = tmp_path / "run"
    ok("import-reference", tmp_path / "models" / "pbe" / "e-form.ckpt", "--out", run)
    assert read_model(run).units == {"e-form": "eV/atom"}
