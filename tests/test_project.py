"Files that say the same thing agree, and the package is what they promise."
import json, re, subprocess, sys
from configparser import ConfigParser
from pathlib import Path
import pytest
from readme import from_top, readme_from
from test_style import HEAVY, HEAVY_MAY, mods, dotted

root = Path(__file__).parents[1]
ini = ConfigParser(delimiters=['='], interpolation=None)
ini.read_string((root/'settings.ini').read_text(encoding='utf-8'))
ini = ini['DEFAULT']
README = (root/'README.md').read_text(encoding='utf-8')
DEMO = 'python3 -m venv .venv && . .venv/bin/activate && pip install -e ".[notebooks]" && animlib demo'
TEST = 'pip install -e ".[dev]" && pytest'

def python(code, **kw): return subprocess.run([sys.executable, '-c', code], cwd=root, capture_output=True, text=True, timeout=120, **kw)

def test_settings_agree_with_pyproject():
    toml = pytest.importorskip('tomllib' if sys.version_info>=(3,11) else 'tomli')
    cfg = toml.loads((root/'pyproject.toml').read_text(encoding='utf-8'))
    nbdev = cfg['tool']['nbdev']
    assert cfg['project']['name']==ini['lib_name']
    assert {*cfg['project']}=={'name', 'dynamic'}, 'write it in settings.ini: setup.py brings it into the package'
    for k in ('lib_path', 'nbs_path', 'doc_path', 'branch'): assert nbdev[k]==ini[k], k
    assert nbdev['allowed_cell_metadata_keys']==['tags'], 'nbdev-clean would take the tags papermill needs'
    assert {'slow', 'cuda', 'notest'} <= {*nbdev['tst_flags'].split()}

def test_nbdev_reads_the_project():
    from nbdev.config import get_config
    cfg = get_config(root)
    assert (cfg.config_path, cfg.lib_name, cfg.version, cfg.lib_path)==(root, ini['lib_name'], ini['version'], root/ini['lib_path'])

def test_package_has_the_version_of_the_settings():
    out = python('import animlib; print(animlib.__version__)')
    assert out.stdout.strip()==ini['version'], out.stderr

def test_installed_package_has_the_settings():
    "What pip knows is what settings.ini says: `pip install -e .` again after a change."
    md = pytest.importorskip('importlib.metadata')
    try: dist = md.distribution(ini['lib_name'])
    except md.PackageNotFoundError: pytest.skip('animlib is not installed')
    from packaging.requirements import Requirement
    want = {str(Requirement(o)) for o in ini['requirements'].split()}
    have = {str(Requirement(o)) for o in dist.requires if 'extra ==' not in o}
    assert (dist.version, have)==(ini['version'], want)
    assert {e.name: e.value for e in dist.entry_points}=={'animlib': ini['console_scripts'].split('=')[1]}

def test_torch_is_capped():
    "The newest torch tried; without the cap pip takes whatever came out last."
    assert [o for o in ini['requirements'].split() if re.match(r'torch\b', o)]==['torch>=2.6,<2.14']

def test_readme_is_the_index_notebook():
    assert README==readme_from(root/'nbs'/'index.ipynb'), 'run: python tests/readme.py --write'

def test_readme_has_the_two_commands():
    assert DEMO in README.splitlines() and TEST in README.splitlines()

def test_readme_links_lead_somewhere():
    links = re.findall(r'\]\(([^)\s]+)\)|(?:src|href)="([^"]+)"', README)
    lost = [o for a,b in links if not re.match(r'[a-z]+:|#', o := a or b) and not (root/o.partition('#')[0]).exists()]
    assert not lost, lost

def test_links_are_told_from_the_top():
    assert from_top('[a](0_f/00.ipynb) ![b](../data_samples/x.gif) <img src="assets/y.png"> [c](https://d.e/f)', 'nbs')==\
        '[a](nbs/0_f/00.ipynb) ![b](data_samples/x.gif) <img src="nbs/assets/y.png"> [c](https://d.e/f)'

def test_readme_shows_code_and_what_it_says(tmp_path):
    cell = lambda kind, src, *outputs: dict(cell_type=kind, source=src, metadata={}, outputs=[*outputs])
    path = tmp_path/'nbs'/'a.ipynb'; path.parent.mkdir()
    cells = [cell('markdown', '# T'), cell('code', '#| hide\nsecret'), cell('code', '#| echo: true\n1+1', dict(data={'text/plain': ['2']})), cell('code', 'print("`" * 3)', dict(text='```\n'))]
    path.write_text(json.dumps(dict(cells=cells)))
    assert readme_from(path).partition('\n\n')[2]=='# T\n\n```python\n1+1\n```\n\n```\n2\n```\n\n```python\nprint("`" * 3)\n```\n\n````\n```\n````\n'
    path.write_text(json.dumps(dict(cells=[cell('code', 'plot()', dict(data={'image/png': 'x', 'text/plain': 'Figure'}))])))
    with pytest.raises(ValueError, match='nbs/assets'): readme_from(path)

def test_every_folder_of_modules_is_a_package():
    lost = {p.parent for p in mods if not (p.parent/'__init__.py').exists()}
    assert not lost, f'{lost}: nbdev-export makes the missing __init__.py'

def test_public_names_answer():
    out = python('import animlib; print([n for n in animlib.__all__ if not callable(getattr(animlib, n))])')
    assert out.stdout.strip()=='[]', out.stderr

def test_submodules_do_not_hide_public_names():
    out = python('import animlib.animate, animlib.models.fomm, animlib; import animlib.models.fomm as f; print(callable(animlib.animate), callable(animlib.models) and bool(f.presets))')
    assert out.stdout.strip()=='True True', out.stderr

def test_library_is_light_to_import():
    "Everything but what shows things works where there is no Jupyter, plotly or papermill."
    names = ['animlib', *(f'animlib.{dotted(p)}' for p in mods if dotted(p).split('.')[0] not in HEAVY_MAY)]
    out = python(f'import sys; {"; ".join("import "+n for n in names)}; print(sorted({{*{HEAVY}}} & {{*sys.modules}}))')
    assert out.stdout.strip()=='[]', out.stdout+out.stderr
