"""Print what Python files import and nothing provides: the module, the file, and the package that has it.

A program for the node: it runs in the environment that is set up, in the folder of the repository, with the standard
library of any Python from 3.7 on. Its argument is `all`, or `tests` for the files of tests alone. An import inside a
`try` or a function is left alone, since its absence is expected there. A package is named only where it is well known:
nobody vouches for one that is merely named like a module.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import sys
from collections.abc import Iterator

_NAMED_ALIKE = """
numpy scipy pandas matplotlib seaborn sympy networkx torch torchvision torchaudio tensorflow keras jax flax optax
transformers datasets tokenizers accelerate einops timm gym gymnasium numba statsmodels xgboost lightgbm h5py pyarrow
zarr xarray dask ray requests httpx aiohttp flask django fastapi click tqdm rich psutil joblib mpi4py simpy pytest
hypothesis mock six attrs pydantic sqlalchemy jinja2 tabulate termcolor colorama toml simplejson msgpack lz4 zstandard
redis paramiko boto3 pexpect wandb tensorboard plotly bokeh nltk spacy gensim freezegun responses parameterized nose2
"""
_PACKAGES = {
    **{name: name for name in _NAMED_ALIKE.split()},
    "Crypto": "pycryptodome",
    "IPython": "ipython",
    "OpenSSL": "pyopenssl",
    "PIL": "pillow",
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "docx": "python-docx",
    "dotenv": "python-dotenv",
    "flask_cors": "flask-cors",
    "mpl_toolkits": "matplotlib",
    "prettytable": "prettytable",
    "pytorch_lightning": "pytorch-lightning",
    "serial": "pyserial",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "tensorboardX": "tensorboardx",
    "umap": "umap-learn",
    "yaml": "pyyaml",
    "zmq": "pyzmq",
}
_SKIPPED = {".git", ".venv", "node_modules", "build", "dist"}
_TEST = re.compile(r"(^|/)(test_[^/]*|[^/]*_test|conftest)\.py$")
_MOST_BYTES = 1_000_000


def main(which: str) -> None:
    """Print a line for each module that is missing."""
    own, wanted = survey(tests_only=which == "tests")
    provided = own | set(sys.builtin_module_names) | set(getattr(sys, "stdlib_module_names", ())) | {"__main__"}
    for module, path in sorted(wanted.items()):
        if module not in provided and importlib.util.find_spec(module) is None:
            print(module, path, _PACKAGES.get(module, ""))  # noqa: T201


def survey(*, tests_only: bool) -> tuple[set[str], dict[str, str]]:
    """Return the names that the repository itself provides, and the modules that its files import, each with a file."""
    own: set[str] = set()
    wanted: dict[str, str] = {}
    for folder, folders, names in os.walk("."):
        folders[:] = [name for name in folders if name not in _SKIPPED]
        own.update(name[:-3] if name.endswith(".py") else name for name in (*folders, *names))
        for path in (os.path.join(folder, name) for name in names if name.endswith(".py")):  # noqa: PTH118
            if os.path.getsize(path) < _MOST_BYTES and (not tests_only or _TEST.search(path)):  # noqa: PTH202
                for module in imported(path):
                    wanted.setdefault(module, path)
    return own, wanted


def imported(path: str) -> Iterator[str]:
    """Yield the modules that a file imports at its top level; nothing for one that this Python cannot read."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            tree = ast.parse(file.read())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


if __name__ == "__main__":
    main(sys.argv[1])
