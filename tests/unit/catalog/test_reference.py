"""The Reference API's answers, over real HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from envagent.catalog import node_types, refresh
from envagent.catalog.reference import fetch_nodes, read_nodes
from envagent.errors import CloudError, CloudUnreachable

NODES = {
    "total": 3,
    "items": [
        {
            "uid": "u-1",
            "node_type": "gpu_v100",
            "architecture": {"platform_type": "x86_64", "smt_size": 80},
            "main_memory": {"ram_size": 137438953472},
            "gpu": [{"gpu": True, "gpu_count": 4, "gpu_model": "GV100GL [Tesla V100 SXM2 32GB]"}],
            "network_adapters": [{"interface": "InfiniBand", "enabled": False}],
            "storage_devices": [{"device": "sda", "size": 240000000000}],
            "links": [{"rel": "self", "href": "/x"}],
        },
        {"uid": "u-2", "node_type": "compute_skylake"},
        {"uid": "", "node_type": "broken"},
        "not a node",
    ],
}


@pytest.fixture
def serve() -> Iterator[Callable[[bytes], str]]:
    servers: list[ThreadingHTTPServer] = []

    def start(body: bytes) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = self.path.startswith("/sites/uc/clusters/chameleon/nodes.json")
                self.send_response(200 if found else 404)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_nodes_come_as_hosts_that_refresh_the_catalogue(serve: Callable[[bytes], str]) -> None:
    hosts = fetch_nodes("uc", url=serve(json.dumps(NODES).encode()), timeout=5)
    assert [h.uid for h in hosts] == ["u-1", "u-2"]
    assert hosts[0].properties["gpu.gpu_count"] == "4" and "links.0.rel" not in hosts[0].properties
    found = {t.name: t for t in refresh(node_types("CHI@UC"), hosts)}
    assert set(found) == {"gpu_v100", "compute_skylake"}
    gpu = found["gpu_v100"].gpu
    assert gpu is not None and (gpu.count, gpu.memory_gb) == (4, 32)
    assert found["gpu_v100"].infiniband


def test_an_answer_without_items_has_no_nodes() -> None:
    assert read_nodes({}) == read_nodes({"items": "none"}) == []


@pytest.mark.parametrize("body", [b"<html>", b"[1, 2]", b"\xff\xfe"])
def test_an_answer_that_is_no_list_of_nodes_is_an_error(serve: Callable[[bytes], str], body: bytes) -> None:
    with pytest.raises(CloudError):
        fetch_nodes("uc", url=serve(body), timeout=5)


def test_silence_and_odd_addresses_are_errors(serve: Callable[[bytes], str]) -> None:
    with pytest.raises(CloudUnreachable):
        fetch_nodes("uc", url="http://127.0.0.1:9", timeout=2)
    with pytest.raises(CloudUnreachable):
        fetch_nodes("nowhere", url=serve(b"{}"), timeout=5)
    with pytest.raises(CloudError):
        fetch_nodes("uc", url="file:///etc/passwd")
