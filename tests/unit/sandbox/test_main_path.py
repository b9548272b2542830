"""The main job through the real clients, and what the log says of it."""

from __future__ import annotations

from .conftest import PUBLIC_KEY, Person, Sandbox, until


def test_from_login_to_reachable_server_and_back(sandbox: Sandbox, me: Person) -> None:
    before = len(sandbox.log())
    conn = me.conn
    key = conn.compute.create_keypair(name="main-path", public_key=PUBLIC_KEY)
    lease = me.lease("main path")
    assert lease["status"] == "PENDING"
    walk = until(lambda: me.lease_status(lease["id"]), "ACTIVE")
    assert set(walk) <= {"PENDING", "STARTING", "ACTIVE"}
    server = me.server(lease["reservations"][0]["id"], "main-path", key_name=key.name, metadata={"run": "r1"})
    assert set(until(lambda: me.server_status(server.id), "ACTIVE/None")) <= {
        "BUILD/scheduling",
        "BUILD/spawning",
        "ACTIVE/None",
    }
    server = conn.compute.get_server(server.id)
    assert server.metadata == {"run": "r1"} and server.key_name == "main-path"
    (port,) = conn.network.ports(device_id=server.id)
    address = me.address(description="run r1")
    assert (address.status, address.description) == ("DOWN", "run r1")
    address = conn.network.update_ip(address, port_id=port.id)
    assert address.status == "ACTIVE"
    kinds = {a["OS-EXT-IPS:type"]: a["addr"] for a in conn.compute.get_server(server.id).addresses["sharednet1"]}
    assert kinds == {"fixed": port.fixed_ips[0]["ip_address"], "floating": address.floating_ip_address}
    assert address.floating_ip_address.startswith("127.21.0.")

    me.blazar.lease.delete(lease["id"])
    until(lambda: me.server_status(server.id), "gone")
    address = conn.network.get_ip(address.id)
    assert (address.status, address.port_id) == ("DOWN", None), "a floating IP outlives its server"
    conn.network.delete_ip(address)
    conn.compute.delete_keypair(key)

    written = sandbox.log()[before:]
    assert [(w["service"], w["method"], w["status"], w["kind"], w["name"]) for w in written] == [
        ("nova", "POST", 201, "keypair", "main-path"),
        ("blazar", "POST", 201, "lease", "main path"),
        ("nova", "POST", 202, "server", "main-path"),
        ("neutron", "POST", 201, "floating_ip", address.floating_ip_address),
        ("neutron", "PUT", 200, "floating_ip", address.floating_ip_address),
        ("blazar", "DELETE", 204, "lease", "main path"),
        ("neutron", "DELETE", 204, "floating_ip", address.floating_ip_address),
        ("nova", "DELETE", 204, "keypair", "main-path"),
    ]
    assert [w["seq"] for w in written] == list(range(written[0]["seq"], written[0]["seq"] + 8))
    assert {w["id"] for w in written if w["kind"] == "lease"} == {lease["id"]}
    assert all(w["request_id"].startswith("req-") and w["time"].endswith("Z") for w in written)
    assert sandbox.control("log") == sandbox.log()


def test_sites_share_nothing_but_the_person(sandbox: Sandbox) -> None:
    uc, tacc = sandbox.person("sandbox"), sandbox.person("sandbox-tacc")
    assert uc.conn.current_project.name == tacc.conn.current_project.name == "CHI-240001"
    assert uc.conn.current_project_id != tacc.conn.current_project_id
    assert (uc.region, tacc.region) == ("CHI@UC", "CHI@TACC")
    image = uc.conn.image.find_image("CC-Ubuntu24.04")
    assert tacc.conn.image.find_image("CC-Ubuntu24.04").id != image.id
    lease = uc.lease()
    assert tacc.lease_status(lease["id"]) == "gone"
    assert tacc.address().floating_ip_address.startswith("127.21.1.")


def test_inventory_is_chameleons(me: Person) -> None:
    hosts = me.blazar.host.list()
    counts: dict[str, int] = {}
    for host in hosts:
        counts[host["node_type"]] = counts.get(host["node_type"], 0) + 1
        strings = {k: v for k, v in host.items() if "." in k}
        assert strings and all(isinstance(v, str) for v in strings.values())
    assert len(hosts) == 132
    assert counts["gpu_rtx_6000"] == 37 and counts["compute_cascadelake_r"] == 42 and counts["gpu_a100_nvlink"] == 1
    names = [image.name for image in me.conn.image.images()]
    assert {"CC-Ubuntu24.04-CUDA", "CC-Ubuntu24.04-ROCm", "CC-Ubuntu24.04-ARM64"} <= set(names)
    assert any(name.startswith("CC-Ubuntu22.04-CUDA_2025") for name in names), "archived images stay listed"
    assert len(names) == len(set(names)), "python-chi refuses to choose between two of one name"
    assert "other-project-private" not in names
