"""Sentences about special hardware and system features.

Owns: the words of each feature. Must not: take one that is merely supported for one that is needed.
"""

from __future__ import annotations

import re

from envagent.repository.documents.sentence import Sentence
from envagent.repository.facts import Facts, SpecialSign, Spot, quote
from envagent.repository.prose.context import NEED, OPTIONAL, Standing

_WORDS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("infiniband", re.compile(r"\binfiniband\b|\bhcas?\b", re.IGNORECASE)),
    ("rdma", re.compile(r"\brdma\b|\broce(v2)?\b|\bibverbs\b|\bverbs\b", re.IGNORECASE)),
    ("mellanox", re.compile(r"\bmellanox\b|\bconnectx\b|\bofed\b|\bbluefield\b", re.IGNORECASE)),
    ("dpdk", re.compile(r"\bdpdk\b|\bspdk\b", re.IGNORECASE)),
    ("hugepages", re.compile(r"\bhuge ?-?pages?\b", re.IGNORECASE)),
    ("fpga", re.compile(r"\bfpgas?\b|\balveo\b|\bvivado\b|\bvitis\b|\bbitstreams?\b", re.IGNORECASE)),
    ("nvme", re.compile(r"\bnvme\b", re.IGNORECASE)),
    ("optane", re.compile(r"\boptane\b", re.IGNORECASE)),
    ("zns", re.compile(r"\bzns\b|\bzoned (namespaces?|block|storage)\b", re.IGNORECASE)),
    (
        "pmem",
        re.compile(
            r"\bpmem\b|\bpersistent memory\b|\bnvdimms?\b|\bdcpmm\b|\bnvram\b|\bnon-volatile (main )?memory\b",
            re.IGNORECASE,
        ),
    ),
    ("sgx", re.compile(r"\bsgx2?\b", re.IGNORECASE)),
    ("kernel-module", re.compile(r"\bkernel modules?\b|\binsmod\b|\bmodprobe\b", re.IGNORECASE)),
    (
        "kernel",
        re.compile(
            r"\b(custom|patched|modified|our) (linux )?kernel\b|\bkernel (patch|source|version|\d\.\d)|\be?bpf\b|"
            r"\bxdp\b|\bboot into\b",
            re.IGNORECASE,
        ),
    ),
    ("kvm", re.compile(r"\bkvm\b|\bvt-x\b|\bhardware virtuali[sz]ation\b|\bnested virtuali[sz]ation\b", re.IGNORECASE)),
    (
        "mpi",
        re.compile(
            r"\bmpi\b|\bmpi-?\d\b|\bopenmpi\b|\bopen mpi\b|\bmpich\b|\bmessage passing interface\b", re.IGNORECASE
        ),
    ),
    ("rocm", re.compile(r"\brocm\b", re.IGNORECASE)),
    ("gpudirect", re.compile(r"\bgpu ?direct\b", re.IGNORECASE)),
    ("jetson", re.compile(r"\bjetson\b|\btegra\b", re.IGNORECASE)),
    ("docker", re.compile(r"\bdocker\b", re.IGNORECASE)),
    ("numa", re.compile(r"\bnuma (nodes?|machine|system|server)s?\b|\bmulti-?socket\b", re.IGNORECASE)),
)
_COMMANDS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("hugepages", re.compile(r"hugepages|hugetlbfs|nr_hugepages")),
    ("kernel-module", re.compile(r"\b(insmod|modprobe|rmmod)\b")),
    ("pmem", re.compile(r"\b(ndctl|ipmctl)\b|/dev/pmem|/mnt/pmem")),
    ("nvme", re.compile(r"/dev/nvme\d|\bnvme (list|format|zns)\b")),
    ("rdma", re.compile(r"\bibv?_(devinfo|send|write|read)|\bibv_devinfo\b|\bibstat\b|\bib_write_bw\b")),
    ("sgx", re.compile(r"/dev/sgx|/dev/isgx|\bsgx-")),
    ("docker", re.compile(r"^\$?\s*(sudo )?docker (run|build|pull|compose)")),
)  # fmt: skip

# What repositories often work for, on machines without it.
_OFTEN_A_TOPIC = frozenset({"fpga", "docker", "kvm", "nvme", "kernel", "numa"})
_NEAR = 45


def read(sentence: Sentence, place: Standing, facts: Facts) -> None:
    """Read the features that the sentence mentions, weighed by how it does."""
    spot = Spot(sentence.path, sentence.line, quote(sentence.text))
    if sentence.kind == "code":
        for tag, pattern in _COMMANDS:
            if pattern.search(sentence.text):
                facts.specials.append(SpecialSign(tag, 0.6 * place.weight, spot))
        return
    if place.aside:
        return
    for tag, pattern in _WORDS:
        if found := pattern.search(sentence.text):
            optional = place.alternative or OPTIONAL.search(sentence.text) is not None
            weight = 0.2 if optional else _weight(sentence, place, tag, found)
            facts.specials.append(SpecialSign(tag, weight * place.weight, spot))


def _weight(sentence: Sentence, place: Standing, tag: str, found: re.Match[str]) -> float:
    around = sentence.text[max(0, found.start() - _NEAR) : found.end() + _NEAR]
    if NEED.search(around) or (place.required and len(sentence.text) < 200):
        return 1.5
    if place.intro:
        return 0.9 if tag in _OFTEN_A_TOPIC else 1.3
    return 0.6 if sentence.kind == "heading" else 0.3
