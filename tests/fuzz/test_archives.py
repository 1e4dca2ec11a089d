"""Mutated files of public archives are read as crystals, rejections, or a documented error."""

import io
import json
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.fuzz.test_crystal_files import read
from tests.structures.archives import samples

from cgatjax.structures.archives import json_files, json_stream
from cgatjax.structures.archives.contracts import CONTRACTS

DOCUMENTS = {
    contract.name: [
        samples.ROWS[contract.name](f"id-{k}", {f.name: -1.5 for f in contract.fields})
        for k in range(2)
    ]
    for contract in CONTRACTS
    if contract.name in samples.ROWS
}
DOCUMENTS["thermo"] = [samples.thermo("mp-1", {"energy_above_hull": 0.1}, "R2SCAN", "R2SCAN")]
MATBENCH = {
    "index": [0, 1],
    "columns": ["structure", "e_form"],
    "data": [[samples.STRUCTURE, 1.0], [samples.STRUCTURE, None]],
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_wrong_values_in_rows(fuzz, name):
    fuzz.values(f"{name} values", "x.json", {"data": DOCUMENTS[name]}, read, cost=2)


def test_wrong_values_in_tables(fuzz):
    fuzz.values("Matbench values", "x.json", MATBENCH, read, cost=2)
    rows = DOCUMENTS["WBM"]
    columns = {key: {str(k): row[key] for k, row in enumerate(rows)} for key in rows[0]}
    fuzz.values("WBM columns", "x.json", columns, read, cost=2)


def parquet(rows):
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), file)
    return file.getvalue()


def test_mutated_parquet(fuzz):
    fuzz.mutations("LeMat-Bulk .parquet", "x.parquet", parquet(DOCUMENTS["LeMat-Bulk"]), read)
    text = json.dumps(DOCUMENTS["LeMat-Bulk"][0]["species"]).encode()

    def pack(mutated):
        rows = [dict(row) for row in DOCUMENTS["LeMat-Bulk"]]
        rows[0]["species"] = mutated.decode("utf-8", "replace")
        return parquet(rows)

    fuzz.mutations("LeMat-Bulk species", "x.parquet", text, read, cost=4, pack=pack)


def test_mutated_zip_files_and_lines(fuzz):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.json", json.dumps(DOCUMENTS["JARVIS-DFT"]))
    fuzz.mutations("JARVIS .zip", "x.zip", file.getvalue(), read)
    lines = "\n".join(map(json.dumps, DOCUMENTS["WBM"])).encode()
    fuzz.mutations("WBM .jsonl", "x.jsonl", lines, read)


def test_mutated_streams(fuzz, monkeypatch):
    """Files that are read in pieces of 97 bytes after the first 600."""
    monkeypatch.setattr(json_files, "WHOLE", 600)
    monkeypatch.setattr(json_stream, "CHUNK", 97)
    monkeypatch.setattr(json_stream, "LONGEST_ITEM", 2**20)
    content = json.dumps({"meta": {"a": "]"}, "entries": DOCUMENTS["JARVIS-DFT"] * 3}).encode()
    fuzz.mutations("stream", "x.json", content, read)
    content = json.dumps(MATBENCH).encode()
    fuzz.mutations("stream of a table", "x.json", content, read)
