"""The packet reader's compiled part; all else stands in pyproject.toml.

Optional: without a compiler the installation succeeds, and the reader does with NumPy.
"""

from hashlib import sha256
from pathlib import Path

from setuptools import Extension, setup

SOURCE = "analysis/packets/straight.c"
DIGEST = sha256(Path(SOURCE).read_bytes()).hexdigest()

setup(
    ext_modules=[
        Extension(
            "analysis.packets._straight",
            [SOURCE],
            define_macros=[("SOURCE_SHA256", f'"{DIGEST}"')],
            extra_compile_args=["-O3"],
            optional=True,
        )
    ],
    # setuptools would compare dates, and a file can be older than what was built from another
    options={"build_ext": {"force": True}},
)
