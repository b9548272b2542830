"""What Chameleon's own notebooks do, with an unmodified python-chi: images, lease, server, address, and all of it back.

Run by an interpreter that has python-chi, with OS_CLIENT_CONFIG_FILE naming a clouds.yaml and a public key's file as
its argument. Prints one JSON document at the end.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import chi
from chi import image, lease, network, server
from openstack.config import OpenStackConfig


def main(public_key_file: str) -> dict[str, Any]:
    """Reserve a node, boot a server on it by an image's name, give it an address, and remove everything."""
    use(os.environ.get("OS_CLOUD", "sandbox"))
    listed = image.list_images()
    key = server.update_keypair("chi-key", Path(public_key_file).read_text().strip())
    reserved = lease.Lease("chi-lease", duration=timedelta(hours=2))
    reserved.add_node_reservation(amount=1, node_type="compute_skylake")
    reserved.submit(wait_for_active=True)
    booted = server.Server(
        "chi-server",
        reservation_id=reserved.node_reservations[0]["id"],
        image_name="CC-Ubuntu22.04",
        keypair=server.get_keypair(key.name),
    )
    booted.submit(wait_for_active=True, show=None)
    address = booted.associate_floating_ip()
    seen = {
        "images": len(listed),
        "supported": len(image.list_images(is_chameleon_supported=True)),
        "image": image.get_image_name(booted.image.uuid),
        "lease": lease.get_lease("chi-lease").status,
        "server": booted.status,
        "address": address,
        "on_server": booted.get_floating_ip(),
        "servers": [each.name for each in server.list_servers()],
    }
    booted.set_metadata_item("experiment", "1")
    seen["metadata"] = booted.get_metadata()
    # python-chi's own delete_ips sends DELETE to an address without `floatingips` in it, and looks at no answer.
    network.deallocate_floating_ip(address)
    booted.delete(delete_ips=False)
    reserved.delete()
    seen["addresses_left"] = len(network.list_floating_ips())
    seen["leases_left"] = [each.name for each in lease.list_leases()]
    return seen


def use(cloud: str) -> None:
    """Tell python-chi where the cloud is, as its users do for a site that it cannot look up."""
    entry = OpenStackConfig().get_one(cloud).config
    chi.set("auth_type", "v3password")
    for name in ("auth_url", "username", "password", "project_name", "user_domain_name", "project_domain_name"):
        chi.set(name, entry["auth"].get(name) or "Default")
    chi.set("region_name", entry["region_name"])


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
