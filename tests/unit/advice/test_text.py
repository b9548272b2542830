"""Strangers' text made harmless, names resolved, evidence chosen."""

from __future__ import annotations

import pytest

from envagent.advice.excerpts import brief
from envagent.advice.matching import resolve
from envagent.advice.untrusted import REDACTED, clean, one_line, redact, tokens
from envagent.repository.results import Document

from .samples import analysis, evidence, snapshot


@pytest.mark.parametrize(
    "hidden",
    ["\u202e", "\u2066", "\u200b", "\u200d", "\ufeff", "\x1b", "\x00", "\x08", "\u00ad", "\U000e0041", "\ue000"],
)
def test_invisible_characters_are_dropped(hidden: str) -> None:
    assert clean(f"a{hidden}b") == "ab"


def test_text_itself_stays() -> None:
    assert clean("Größe ≥ 24 Go\n\tα 中文 🙂\r\nend\r") == "Größe ≥ 24 Go\n\tα 中文 🙂\nend\n"
    assert one_line("a\n b\t\x1b[31mc", 100) == "a b [31mc"
    assert len(one_line("x" * 900)) == 400
    assert clean("\ud800x") == "x" and tokens("\ud800x")


@pytest.mark.parametrize(
    "secret",
    [
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
        "github_pat_11ABCDEFG0abcdefghijkl_mnopqrstuv",
        "sk-proj-abcdefghijklmnopqrstuvwx",
        "hf_abcdefghijklmnopqrstuvwxyzABCD",
        "xoxb-1234567890-abcdefghij",
        "AIzaSyA-1234567890abcdefghijklmnopqrstu",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcdefghijk",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\n-----END OPENSSH PRIVATE KEY-----",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEow cut off",
    ],
)
def test_secrets_are_redacted(secret: str) -> None:
    found = redact(f"before {secret} after")
    assert secret not in found and REDACTED in found and found.startswith("before ")


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("OS_PASSWORD=hunter2secret", "hunter2secret"),
        ('"api_key": "0123456789abcdef"', "0123456789abcdef"),
        ("client-secret: 'a b c d e f'", "a b c d e f"),
        ("git clone https://bob:pa55word@example.org/x", "pa55word"),
    ],
)
def test_named_secrets_are_redacted_and_their_names_kept(text: str, gone: str) -> None:
    found = redact(text)
    assert gone not in found and REDACTED in found and found.split(REDACTED)[0] == text[: len(found.split(REDACTED)[0])]


@pytest.mark.parametrize(
    "text",
    [
        "torch==2.3.1 --hash=sha256:0123456789abcdef0123456789abcdef",
        "commit 1b610e4c5d2f3a4b5c6d7e8f90a1b2c3d4e5f607",
        "The tokenizer: a BPE tokenizer with 32000 tokens",
        "https://github.com/o/r",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


OPTIONS = {"id-1": "CC-Ubuntu24.04-CUDA", "id-2": "CC-Ubuntu22.04-CUDA", "id-3": "CC-Ubuntu24.04"}


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("CC-Ubuntu24.04-CUDA", "id-1"),
        ("id-2", "id-2"),
        ("CC-Ubuntu22.04-CUDA (ID: id-2)", "id-2"),
        ("CC-Ubuntu22.04-CUDA (ID: 1052ba60-cbe6-45ad)", "id-2"),
        ("whatever [id=id-3]", "id-3"),
        ("cc-ubuntu24.04", "id-3"),
        ("`CC-Ubuntu24.04`", "id-3"),
        ('"CC-Ubuntu22.04-CUDA"', "id-2"),
        ("CC-Ubuntu 24.04 CUDA", "id-1"),
        ("CC_Ubuntu24.04_CUDA", "id-1"),
        ("CC-Ubuntu24.04-CUDAs", "id-1"),
        ("CC-Ubuntu23.04-CUDA", None),
        ("CC-Ubunut24.04-CUDA", "id-1"),
        ("CC-Ubuntu24.04-CUD", "id-1"),
        ("CC-Ubuntu24.10", None),
        ("CC-Ubuntu24.04-ROCm", None),
        ("CC-Ubuntu", None),
        ("", None),
        ("()", None),
        ("x" * 10_000, None),
    ],
)
def test_what_an_ai_calls_a_thing(said: str, meant: str | None) -> None:
    assert resolve(said, OPTIONS) == meant


def test_a_name_between_two_is_neither() -> None:
    names = {n: n for n in ("gpu_a100_pcie", "gpu_a100_nvlink", "gpu_v100", "compute_haswell_ib")}
    assert resolve("gpu_a100", names) is None and resolve("compute_haswell", names) is None
    assert resolve("gpu_rtx6000", {n: n for n in ("gpu_rtx_6000", "gpu_v100")}) == "gpu_rtx_6000"


class TestBrief:
    """What of a repository goes into a prompt."""

    def test_evidence_comes_first_then_the_telling_files(self) -> None:
        found = brief(
            snapshot(**{"zz.txt": "other", "README.md": "readme", "requirements.txt": "torch"}),
            analysis(evidence=[evidence("ram_gb", "64", "64 GB of RAM")]),
            4000,
        )
        order = [found.index(text) for text in ("64 GB of RAM", "torch", "readme", "other")]
        assert order == sorted(order)

    def test_a_given_document_ranks_as_a_readme_within_the_same_budget(self) -> None:
        files = snapshot(**{"README.md": "readme", "requirements.txt": "torch", "zz.txt": "other"})
        given = files.with_documents((Document(name="appendix.pdf", text="\u202eignore this, token=abcdefghijkl"),))
        found = brief(given, analysis(), 4000)
        assert "=== appendix.pdf (given by the user) ===\nignore this, " in found and "abcdefghijkl" not in found
        assert found.index("torch") < found.index("ignore this") < found.index("other")
        long = files.with_documents((Document(name="paper.pdf", text="one more word, " * 50_000),))
        assert tokens(brief(long, analysis(), 500)) <= 502

    @pytest.mark.parametrize("budget", [0, 1, 50, 500, 5000])
    def test_it_keeps_to_its_budget(self, budget: int) -> None:
        files = {f"d{n}/requirements.txt": "numpy ≥ 1\n" * 500 for n in range(20)}
        found = brief(snapshot(**files, **{"README.md": "x" * 100_000}), analysis(), budget)
        assert tokens(found) <= budget + 2

    def test_the_end_of_a_huge_readme_is_not_lost(self) -> None:
        text = "filler\n" * 20_000 + "You need at least 256 GB of RAM.\n"
        assert "256 GB of RAM" in brief(snapshot(**{"README.md": text}), analysis(), 8000)

    def test_it_is_clean_and_holds_no_secret(self) -> None:
        files = {"README.md": "a\u202eb\x1b[31m", "setup.py": "API_KEY = 'sk-abcdefghijklmnopqrstuvwx'"}
        found = brief(snapshot(**files), analysis(evidence=[evidence("x", "y", "token=abcdefghijkl")]), 4000)
        assert "\u202e" not in found and "\x1b" not in found
        assert "sk-abc" not in found and "abcdefghijkl" not in found
