# Copyright (c) mmdiffkd contributors.
"""The notebook of demo/: clean in the repository, and it runs."""

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

PATH = Path(__file__).parents[1] / 'demo/distill_your_own.ipynb'


def test_it_holds_no_outputs():
    cells = nbformat.read(PATH, as_version=4).cells
    code = [cell for cell in cells if cell.cell_type == 'code']
    assert code and not any(cell.outputs for cell in code)
    assert PATH.stat().st_size < 100_000


@pytest.mark.slow
def test_it_runs_from_a_clean_kernel(tmp_path, monkeypatch):
    """As a user's server would run it, in an empty folder."""
    for name in ('JUPYTER_RUNTIME_DIR', 'JUPYTER_DATA_DIR', 'IPYTHONDIR'):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '')
    # Pictures go into the notebook, as they do without this variable.
    monkeypatch.delenv('MPLBACKEND')
    notebook = nbformat.read(PATH, as_version=4)
    NotebookClient(
        notebook,
        timeout=300,
        kernel_name='python3',
        resources=dict(metadata=dict(path=str(tmp_path))),
    ).execute()  # raises the error of a cell
    outputs = [o for cell in notebook.cells for o in cell.get('outputs', ())]
    text = ''.join(o.get('text', '') for o in outputs)
    assert 'gradient   from distillation alone into the student' in text
    pictures = [o for o in outputs if 'image/png' in o.get('data', {})]
    assert len(pictures) == 3
    assert list(tmp_path.glob('work_dirs/*/student.pth'))
    assert os.listdir(tmp_path / 'work_dirs') == ['distill_your_own']
