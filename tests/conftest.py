"Options and settings every test shares."
import os, shutil
from pathlib import Path
import pytest

# Before torch is imported anywhere, and inherited by every process a test starts: two notebooks run side by side.
os.environ.setdefault('OMP_NUM_THREADS', str(max(1, min(4, (os.cpu_count() or 2)//2))))
os.environ.pop('IN_TEST', None)  # nbdev sets it while it tests; its commands do nothing under it

def pytest_addoption(parser): parser.addoption('--slow', action='store_true', help='also run what takes minutes')

def pytest_collection_modifyitems(config, items):
    slow = [o for o in items if 'slow' in o.keywords]
    cuda = [o for o in items if 'cuda' in o.keywords]
    if not config.getoption('--slow'):
        for o in slow: o.add_marker(pytest.mark.skip(reason='takes minutes: run with --slow'))
    if cuda and not has_cuda():
        for o in cuda: o.add_marker(pytest.mark.skip(reason='needs a CUDA device'))

def has_cuda():
    import torch
    return torch.cuda.is_available()

@pytest.fixture(scope='session')
def root(): return Path(__file__).parents[1]

@pytest.fixture(scope='session')
def scratch(tmp_path_factory):
    "A folder for the whole session, removed at its end."
    yield (p := tmp_path_factory.mktemp('session'))
    shutil.rmtree(p, ignore_errors=True)

@pytest.fixture(scope='session')
def copy(scratch, root):
    "A copy of what nbdev works on (notebooks, package, settings), free to be written to."
    skip = shutil.ignore_patterns('__pycache__', '.ipynb_checkpoints', 'runs', '_modidx.py')
    for name in ('nbs', 'animlib'): shutil.copytree(root/name, scratch/'copy'/name, ignore=skip)
    for name in ('pyproject.toml', 'settings.ini', 'setup.py', 'README.md'): shutil.copy(root/name, scratch/'copy')
    return scratch/'copy'

@pytest.fixture(scope='session')
def tiny_model_file(scratch):
    "A model of 32 px, trained for a few seconds: its keypoints have spread, nothing more is promised."
    from animlib.cli import main
    run = scratch/'tiny'
    assert main(f'train fomm --data toy:body --preset toy --run {run} --device cpu --steps 30 --clips 10 --frames 6 -o batch=4 -o preview_every=0'.split())==0
    return run/'model.safetensors'
