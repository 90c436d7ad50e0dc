# Copyright (c) mmdiffkd contributors.
"""A diffusion model is trained, written, kept, and taken by a distillation."""

import sys

import pytest
import torch

CONNECTORS = 'model.distiller.connectors.diff_p3.'


def test_a_place_that_cannot_be_written_is_found_before(
    mistake, tiny, tmp_path
):
    (tmp_path / 'file').write_text('precious')
    for out in (tmp_path / 'file/x.pth', '/proc/x.pth'):
        message = mistake(
            'pretrain_diffusion.py',
            tiny.distill,
            '--work-dir',
            tmp_path / 'work',
            '--out',
            out,
        )
        assert message.startswith(f'--out {out}: its folder ')
    assert (tmp_path / 'file').read_text() == 'precious'
    assert not (tmp_path / 'work').exists()


@pytest.mark.slow
def test_a_file_is_made_once_and_used(process, tiny, tmp_path):
    def run(command, *words):
        return process(
            sys.executable,
            '-m',
            'mmdiffkd',
            command,
            tiny.distill,
            '--work-dir',
            tmp_path / command,
            *words,
            cwd=tmp_path,
        )

    out = tmp_path / 'pretrain-diffusion/diffusion.pth'
    made = run('pretrain-diffusion', '--iters', 4, '--seed', 1)
    assert made.returncode == 0, made.stderr[-3000:]
    assert f'wrote {out}' in made.stdout and 'diff_p3: ' in made.stdout
    models = torch.load(out, weights_only=True)['diffusion_models']
    before = out.read_bytes()

    again = run('pretrain-diffusion', '--iters', 4)
    assert again.returncode == 2
    assert '--overwrite' in again.stderr.split('error: ')[1]
    assert out.read_bytes() == before
    folder = run('pretrain-diffusion', '--out', tmp_path, '--overwrite')
    assert folder.returncode == 2
    assert 'is a folder; name a file' in folder.stderr
    # The same run, whose file is written without training again.
    other = run(
        'pretrain-diffusion', '--iters', 4, '--resume', '--out', 'other.pth'
    )
    assert other.returncode == 0, other.stderr[-3000:]
    assert 'Iter(train)' not in other.stdout
    same = torch.load(tmp_path / 'other.pth', weights_only=True)
    weights = same['diffusion_models']['diff_p3']['state_dict']
    for name, value in models['diff_p3']['state_dict'].items():
        assert torch.equal(weights[name], value), name
    longer = run(
        'pretrain-diffusion', '--iters', 9, '--resume', '--out', 'longer.pth'
    )
    assert longer.returncode == 2
    assert 'was started with 4' in longer.stderr.split('error: ')[1]
    assert not (tmp_path / 'longer.pth').exists()

    options = [
        f'{CONNECTORS}diffusion_ckpt={out}',
        f'{CONNECTORS}freeze_diffusion=True',
    ]
    used = run('train', '--cfg-options', *options)
    assert used.returncode == 0, used.stderr[-3000:]
    (last,) = (tmp_path / 'train').glob('epoch_*.pth')
    state = torch.load(last, weights_only=False)['state_dict']
    prefix = 'distiller.connectors.diff_p3.diffusion.'
    for name, value in models['diff_p3']['state_dict'].items():
        assert torch.equal(state[prefix + name], value), name
