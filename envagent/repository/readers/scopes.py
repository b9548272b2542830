"""Judge from its path how close a file is to the repository's own job.

Owns: the words in names that mark tests, variants and other platforms. Must not: look inside.
"""

from __future__ import annotations

import re

from envagent.repository.facts import Scope

_WORD = re.compile(r"[a-z]+|[0-9]+")
_DEVELOPMENT = frozenset([
    "test", "tests", "testing", "doc", "docs", "documentation", "dev", "devel", "develop", "development", "lint",
    "linting", "ci", "cov", "coverage", "mypy", "typing", "style", "release", "publish", "website", "site", "rtd",
    "readthedocs", "pre", "commit", "precommit", "format", "benchmark", "benchmarks", "bench", "benchmarking",
    "tutorial", "tutorials", "example", "examples", "demo", "demos", "contrib", "sphinx", "mkdocs", "changelog", "blog",
    "unittest", "unittests", "selftest", "selftests", "testsuite", "testsuites", "testcases",
])  # fmt: skip
# Only as a folder's name; `sample.py` and `integration.py` can be the main job.
_DEVELOPMENT_FOLDERS = frozenset([
    "integration", "e2e", "acceptance", "conformance", "smoke", "sample", "samples", "playground", "buildkite",
    "circleci", "jenkins", "tekton", "zuul",
])  # fmt: skip
_VARIANT = frozenset([
    "cpu", "gpu", "cuda", "cu", "rocm", "hip", "amd", "xpu", "sycl", "oneapi", "opencl", "vulkan", "musa", "ipex",
    "npu", "ascend", "cann", "cublas", "tensorrt", "openvino", "tpu", "hpu", "habana", "gaudi", "mps", "jetson",
    "l4t", "extra", "extras", "optional", "full", "all", "runpod", "colab", "kaggle", "sagemaker", "lts", "legacy",
    "old", "archive", "experimental", "nightly",
])  # fmt: skip
_FOREIGN_PLATFORM = frozenset([
    "windows", "win", "win32", "macos", "osx", "mac", "darwin", "android", "ios", "wasm", "freebsd", "raspberry",
    "rpi",
])  # fmt: skip
README = ("readme", "liesmich", "lisezmoi", "leeme", "leame", "leiame")
# A readme in another language repeats the main one.
_TRANSLATION = re.compile(r"readme[._-](?!en\b|md\b|rst\b|txt\b|gpu|cuda|install)[a-z]{2}([_-][a-z]+)?\.")


def words(path: str) -> list[str]:
    """Split a path into its words, in lower case."""
    return _WORD.findall(path.lower())


def scope_of(path: str) -> Scope | None:
    """Return the scope of a manifest at `path`; None if it is for a platform that no server here has."""
    # The name of an architecture, not of a vendor.
    path = path.lower().replace("amd64", "x86")
    found = set(words(path))
    if found & _FOREIGN_PLATFORM:
        return None
    if found & _DEVELOPMENT or _DEVELOPMENT_FOLDERS & set(re.split(r"[/_.-]", path.rpartition("/")[0])):
        return "development"
    if found & _VARIANT or any(re.fullmatch(r"cu\d+", part) for part in re.split(r"[^a-z0-9]+", path.lower())):
        return "optional"
    return "main" if path.count("/") == 0 or path.startswith(("requirements/", "src/")) else "component"


def group_scope(group: str) -> Scope:
    """Return the scope of a named extra or dependency group."""
    return "development" if set(words(group)) & _DEVELOPMENT else "optional"


def is_translation(path: str) -> bool:
    """Return whether a readme is a translation of the main one."""
    return _TRANSLATION.match(path.lower().rpartition("/")[2]) is not None


def is_readme(path: str) -> bool:
    """Return whether a file at the top is called a readme, in any language."""
    return "/" not in path and path.lower().startswith(README)
