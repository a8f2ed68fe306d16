"The notebooks are the source of animlib/: exporting them changes nothing, and cleaning them loses nothing."
import json, os, shutil, subprocess, sys
import pytest
from fastcore.nbio import nb2str
from nbdev.clean import clean_nb
from test_style import nbs, rel

def nbdev(command, cwd):
    env = {k:v for k,v in os.environ.items() if k!='IN_TEST'}  # under IN_TEST nbdev-export does nothing
    out = subprocess.run([sys.executable, '-c', f'from nbdev.{command}'], cwd=cwd, env=env, capture_output=True, text=True, timeout=300)
    assert not out.returncode, out.stderr
    return out.stdout+out.stderr

def modules(folder): return {p.relative_to(folder).as_posix(): p.read_text(encoding='utf-8') for p in sorted(folder.rglob('*.py')) if p.name!='_modidx.py'}

def test_export_leaves_no_difference(root, copy):
    lib = copy/'animlib'
    for p in lib.rglob('*.py'):
        if p.name not in ('__init__.py','__main__.py'): p.unlink()  # so that a module whose notebook is gone shows up, too
    nbdev('doclinks import nbdev_export; nbdev_export()', copy)
    have,want = modules(root/'animlib'), modules(lib)
    stale = {n for n in have.keys()|want.keys() if have.get(n)!=want.get(n)}
    assert want and not stale, f'{sorted(stale)}: run nbdev-export (or nobody exports them any more)'

def test_export_notices_a_difference(root, copy, tmp_path):
    "The comparison above is not blind: a changed cell changes its module."
    shutil.copytree(copy, tmp_path/'copy')
    p = next((tmp_path/'copy'/'nbs').rglob('00_geometry.ipynb'))
    p.write_text(p.read_text(encoding='utf-8').replace('#| export\\n', '#| export\\nnew_name = 1\\n', 1), encoding='utf-8')
    nbdev('doclinks import nbdev_export; nbdev_export()', tmp_path/'copy')
    assert modules(tmp_path/'copy'/'animlib')['geometry.py']!=modules(root/'animlib')['geometry.py']

def test_clean_keeps_the_parameters_tag(copy):
    cell = dict(cell_type='code', execution_count=3, id='a', metadata={'tags': ['parameters'], 'collapsed': True}, outputs=[], source=['steps = 10'])
    p = copy/'nbs'/'trial.ipynb'
    p.write_text(json.dumps(dict(cells=[cell], metadata={}, nbformat=4, nbformat_minor=5)), encoding='utf-8')
    nbdev('clean import nbdev_clean; nbdev_clean("nbs/trial.ipynb")', copy)
    cell = json.loads(p.read_text(encoding='utf-8'))['cells'][0]
    p.unlink()
    assert (cell['metadata'], cell['execution_count'])==({'tags': ['parameters']}, None)

@pytest.mark.parametrize('p', [pytest.param(p, id=rel(p)) for p in nbs])
def test_notebook_is_clean(p):
    "As nbdev-clean writes it (no counters, no editor metadata, one line of source a line), so that differences can be read."
    text = p.read_text(encoding='utf-8')
    nb = json.loads(text)
    clean_nb(nb, allowed_cell_metadata_keys=['tags'])
    if nb2str(nb)!=text: pytest.fail(f'run: nbdev-clean --fname {rel(p)}', pytrace=False)
