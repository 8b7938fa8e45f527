"""What ``pyproject.toml`` cannot say: configurations and launchers lie at the top of the repository, and in the package."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

TRAVELLING = ("configs", "scripts")  # mindrestore.config.shipped and mindrestore.commands.launch find them in either place


class BuildWithFolders(build_py):
    """Copies ``TRAVELLING`` into the package, but for an installation that works from the checkout."""

    def run(self):
        super().run()
        if not self.editable_mode:
            for name in TRAVELLING:
                target = Path(self.build_lib) / "mindrestore" / name
                shutil.rmtree(target, ignore_errors=True)
                shutil.copytree(name, target, ignore=shutil.ignore_patterns("__pycache__"))


setup(cmdclass={"build_py": BuildWithFolders})
