"""The models of the catalogue: a site, a node type, a GPU."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict

Vendor = Literal["nvidia", "amd", "intel"]
Architecture = Literal["x86_64", "aarch64"]


class CatalogModel(BaseModel):
    """An immutable fact; an unknown field in the packaged data is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Site(CatalogModel):
    """A Chameleon site: its own Keystone, projects, images and networks."""

    uid: str
    """The Reference API's name, such as uc."""
    region: str
    auth_url: str
    kind: Literal["baremetal", "kvm", "edge"]


class Gpu(CatalogModel):
    """The GPUs of one node."""

    # Journals of earlier versions hold a field that is gone.
    model_config = ConfigDict(extra="ignore")

    vendor: Vendor
    model: str
    count: int
    """On a typical node of the type."""
    guaranteed: int
    """On the poorest node of the type: 0 where the GPUs are composable and some nodes have none."""
    memory_gb: float | None = None
    """Per GPU."""
    compute_capability: str | None = None
    """NVIDIA's number, such as 8.0."""


class NodeType(CatalogModel):
    """What every node of a type at one site has. A KVM flavor is one too, with `virtual` set.

    RAM is in GiB and disks are in GB (10^9), as on Chameleon's pages.
    """

    name: str
    region: str
    count: int = 0
    """Nodes of the type at the site; 0 when unknown (flavors)."""
    virtual: bool = False
    flavor_id: str | None = None
    """The Nova id of a flavor, if reported by the site."""
    cpu_vendor: str | None = None
    cpu_model: str | None = None
    sockets: int | None = None
    cores: int
    """Physical cores (vCPUs of a flavor)."""
    threads: int
    ram_gb: int | None = None
    gpu: Gpu | None = None
    disk_gb: int
    """The first disk, which holds the root file system."""
    extra_disks_gb: tuple[int, ...] = ()
    """Further disks, without a file system."""
    nic_gbps: float | None = None
    infiniband: bool = False
    rdma: bool = False
    """Has an RDMA adapter (InfiniBand or RoCE)."""
    architecture: Architecture = "x86_64"
    su_factor: float = 1.0
    """Service units per hour."""
    tags: tuple[str, ...] = ()
    """Other special features: fpga, nvme, pmem, storage, sgx-cpu, ..."""
    source: str = ""
    as_of: date | None = None

    @property
    def hardware(self) -> str:
        """What a node has, in a few words: `24 cores, 192 GB RAM, 4 x Tesla V100 32 GB`."""
        ram = "RAM unknown" if self.ram_gb is None else f"{self.ram_gb or 'under 1'} GB RAM"
        parts = [f"{self.cores} core{'' if self.cores == 1 else 's'}", ram]
        if self.gpu:
            memory = f" {self.gpu.memory_gb:g} GB" if self.gpu.memory_gb and "GB" not in self.gpu.model else ""
            parts.append(f"{self.gpu.count} x {self.gpu.model}{memory}")
        return ", ".join(parts)

    @property
    def known(self) -> bool:
        """Whether the packaged catalogue has the type (False: derived from live properties alone)."""
        return self.as_of is not None


class ReportedHost(Protocol):
    """What the catalogue reads of a live Blazar host, such as `envagent.cloud.port.Host`."""

    @property
    def node_type(self) -> str | None:
        """The type it belongs to."""

    @property
    def reservable(self) -> bool:
        """Whether it may be leased at all."""

    @property
    def properties(self) -> Mapping[str, str]:
        """Flat extra capabilities: dotted keys, string values."""


class ReportedFlavor(Protocol):
    """What the catalogue reads of a live Nova flavor, such as `envagent.cloud.port.Flavor`."""

    @property
    def id(self) -> str:
        """Its id, which a reservation needs instead of the name."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def vcpus(self) -> int:
        """Virtual CPUs."""

    @property
    def ram_mb(self) -> int:
        """RAM in MiB."""

    @property
    def disk_gb(self) -> int:
        """Root disk."""

    @property
    def extra_specs(self) -> Mapping[str, str]:
        """Scheduler properties."""
