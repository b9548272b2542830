"""The kind of file system that a folder is on: whether other hosts may write to it."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

NETWORK = {
    0x6969: "NFS",
    0x517B: "SMB",
    0xFF534D42: "CIFS",
    0xFE534D42: "SMB",
    0x01021997: "9P",
    0x65735546: "FUSE",
    0x0BD00BD0: "Lustre",
    0x47504653: "GPFS",
    0x00C36400: "Ceph",
    0x5346414F: "AFS",
    0x6B414653: "AFS",
    0x73757245: "Coda",
    0x7461636F: "OCFS2",
    0x01161970: "GFS2",
    0x19830326: "BeeGFS",
    0x20030528: "OrangeFS",
    0x786F4256: "a VirtualBox share",
}
"""Types of statfs(2). FUSE counts as a network: it may be remote (sshfs) or local (NTFS), and nothing tells which."""


def network_kind(folder: Path) -> str | None:
    """Return the name of the network file system that the folder is on; None for a local one or if unknown."""
    if sys.platform != "linux":
        return None
    status = ctypes.create_string_buffer(512)  # struct statfs, whose first word is the type
    if ctypes.CDLL(None).statfs(os.fsencode(folder), status) != 0:
        return None
    return NETWORK.get(ctypes.c_long.from_buffer(status).value & 0xFFFFFFFF)
