"""Public keys of others on a real node, with a real sshd."""

from __future__ import annotations

from pathlib import Path

import pytest

from envagent import keys, ssh
from envagent.steps.shared_access import AccessRequest, AdmittedKeys
from tests.node.debian import ADDRESS, USER, Node

pytestmark = pytest.mark.timeout(600)  # the first test makes the root, too


@pytest.mark.sweep(points=lambda plan: ["in and out"], bounded=1)
def test_a_key_is_let_in_and_out_again(point: str, node: Node, tmp_path: Path) -> None:
    private = tmp_path / "key"
    keys.create_private_key(private)
    request = AccessRequest(public_key=keys.public_key_of(private), who="ada", allowed=True)
    admitted = AdmittedKeys(node.target)

    def logs_in() -> bool:
        return ssh.try_login(ADDRESS, USER, private, tmp_path / "hosts", node.target.port).logged_in

    keep = 'printf %s "$(cat .ssh/authorized_keys)" > .ssh/x && chmod 600 .ssh/x && mv .ssh/x .ssh/authorized_keys'
    assert node.run(keep).code == 0  # its last line has no end
    before = admitted.text()
    assert not before.endswith("\n") and not logs_in()
    for _ in range(2):
        admitted.reach(request)
    assert admitted.text() == f"{before}\n{request.public_key} {request.mark}\n"
    assert logs_in()
    admitted.reach(request.model_copy(update={"allowed": False}))
    assert admitted.text() == f"{before}\n" and not logs_in()
    assert node.run("ls -A .ssh; stat -c %a .ssh/authorized_keys").output.split() == ["authorized_keys", "600"]
