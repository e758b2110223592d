"""The packet reader's compiled part, and the viewer's page; all else stands in pyproject.toml.

Both are optional. Without a compiler the installation succeeds, and the reader does with NumPy; a
wheel carries the page that `make extra-viewer` has built.
"""

import shutil
import sys
from hashlib import sha256
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_py import build_py

SOURCE = "analysis/packets/straight.c"
DIGEST = sha256(Path(SOURCE).read_bytes()).hexdigest()


class BuildWithPage(build_py):
    """Adds the viewer's bundle to the package."""

    def run(self) -> None:
        """Builds, and copies the bundle if there is one."""
        super().run()
        if self.editable_mode or not Path("viewer").is_dir():
            return
        sys.path.insert(0, str(Path(__file__).parent))
        from testbed.viewer import bundle

        if (found := bundle.place()).is_dir():
            target = Path(self.build_lib) / "testbed" / "viewer" / "bundle"
            shutil.copytree(found, target, dirs_exist_ok=True)


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
    cmdclass={"build_py": BuildWithPage},
    # setuptools would compare dates, and a file can be older than what was built from another
    options={"build_ext": {"force": True}},
)
