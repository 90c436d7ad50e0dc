# Copyright (c) mmdiffkd contributors.
"""Build script: package metadata, and configs and tools inside the package.

MMEngine and MIM look for ``mmdiffkd/.mim/{configs,tools,model-index.yml}``.
Wheels hold copies of them. In a checkout ``.mim`` holds links to the folders
at the root; ``pip install -e .`` makes them, and ``python setup.py link_mim``
makes them without installing anything. The usual way, to test ``sys.argv``
for ``develop``, has no effect since editable installs follow PEP 660.
"""

import os
import runpy
import shutil
from pathlib import Path

from setuptools import Command, find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
MIM_ENTRIES = ('configs', 'tools', 'model-index.yml')


class LinkMim(Command):
    """Link configs and tools into ``mmdiffkd/.mim`` of this checkout."""

    description = 'link configs and tools into mmdiffkd/.mim'
    user_options = []

    def initialize_options(self) -> None:
        """Do nothing: the command has no options."""

    def finalize_options(self) -> None:
        """Do nothing: the command has no options."""

    def run(self) -> None:
        """Make the links that are missing or point elsewhere."""
        mim = ROOT / 'mmdiffkd' / '.mim'
        mim.mkdir(exist_ok=True)
        for name in MIM_ENTRIES:
            target = os.path.join('..', '..', name)
            link = mim / name
            if link.is_symlink() and os.readlink(link) == target:
                continue
            # Made aside and renamed: a reader never sees a missing link.
            fresh = mim / f'{name}.{os.getpid()}'
            fresh.symlink_to(target)
            os.replace(fresh, link)


class BuildPyWithMim(build_py):
    """Put configs and tools where they belong in either kind of install."""

    def run(self) -> None:
        """Build the package, then add ``.mim``."""
        super().run()
        if self.editable_mode:
            self.run_command('link_mim')
            return
        mim = Path(self.build_lib) / 'mmdiffkd' / '.mim'
        # `build/` outlives a build: a config removed since must not ship.
        shutil.rmtree(mim, ignore_errors=True)
        mim.mkdir(parents=True)
        for name in MIM_ENTRIES:
            if (ROOT / name).is_dir():
                # Keeps modes, so that shell scripts stay executable.
                shutil.copytree(
                    ROOT / name,
                    mim / name,
                    ignore=shutil.ignore_patterns('__pycache__', '*.py[co]'),
                )
            else:
                shutil.copy2(ROOT / name, mim / name)


def read_requirements(name: str) -> list:
    """Read one file of ``requirements/``, without comments.

    Args:
        name (str): Name of the file, without its folder.

    Returns:
        list[str]: One requirement each.
    """
    lines = (ROOT / 'requirements' / name).read_text().splitlines()
    lines = (line.partition('#')[0].strip() for line in lines)
    return [line for line in lines if line]


if __name__ == '__main__':
    extras = {
        name: read_requirements(f'{name}.txt')
        for name in ('det', 'seg', 'cls', 'demo', 'study', 'tests', 'lint')
    }
    extras['all'] = sorted({r for group in extras.values() for r in group})
    # By MIM's convention: the base libraries, which pip is not to bring.
    extras['mim'] = read_requirements('mminstall.txt')
    setup(
        name='mmdiffkd',
        version=runpy.run_path(str(ROOT / 'mmdiffkd/version.py'))[
            '__version__'
        ],
        description='Diffusion-based knowledge distillation for OpenMMLab '
        'detectors, segmentors and classifiers',
        long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
        long_description_content_type='text/markdown',
        author='mmdiffkd contributors',
        license='Apache-2.0',
        keywords='knowledge distillation, diffusion, object detection',
        classifiers=[
            'Development Status :: 4 - Beta',
            'Operating System :: POSIX :: Linux',
            'Programming Language :: Python :: 3',
        ],
        packages=find_packages(include=['mmdiffkd', 'mmdiffkd.*']),
        python_requires='>=3.10',
        install_requires=read_requirements('runtime.txt'),
        extras_require=extras,
        entry_points=dict(
            console_scripts=['mmdiffkd = mmdiffkd.__main__:main']
        ),
        cmdclass=dict(build_py=BuildPyWithMim, link_mim=LinkMim),
        zip_safe=False,
    )
