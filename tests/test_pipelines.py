"The scheduled runs: every notebook of nbs/pipelines through papermill, what `run_notebook` refuses, the demonstration, and the samples."
import json, math, re, sys
from functools import lru_cache
from pathlib import Path
import pytest, torch
from PIL import Image
from animlib.checkpoints import load, share, zoo
from animlib.core import InputError
from animlib.data.video import Video, probe, read_image
from animlib import pipelines
from animlib.pipelines import NotebookFailed, check_parameters, demo, figure, notebook_parameters, page, reconstruct, run_notebook, zoo_table

shipped = sorted(share('pipelines').glob('*.ipynb'))
cells = lambda path: json.loads(Path(path).read_text(encoding='utf-8'))['cells']
outputs = lambda path: [o for c in cells(path) for o in c.get('outputs', ())]
pictures = lambda path: sum('image/png' in o.get('data', {}) for o in outputs(path))
text = lambda path: ''.join(''.join(o.get('text', '')) + ''.join(o.get('data', {}).get('text/markdown', '')) for o in outputs(path))

def notebook(path, source, *more, tags=('parameters',)):
    made = [dict(cell_type='code', id=f'c{i}', execution_count=None, metadata={'tags': [*tags]} if i==0 else {}, outputs=[], source=s) for i,s in enumerate((source, *more))]
    path.write_text(json.dumps(dict(cells=made, metadata={}, nbformat=4, nbformat_minor=5)))
    return path

# ---- the notebooks that come along ----
@pytest.fixture(scope='module')
def chain(tmp_path_factory):
    "A training of eight steps, a reconstruction and an animation with its model; every path is relative to the folder they run in."
    here = tmp_path_factory.mktemp('chain')
    run = lambda name, **given: here/run_notebook(name, here/f'{name}.ipynb', given, cwd=here, progress=False)
    run('train', data='toy:arm', run='runs/arm', steps=8, clips=3, frames=4, eval_clips=2, device='cpu', options=dict(batch=2, n_kp=4))
    run('reconstruct', model='runs/arm', data='toy:arm', out='rec', limit=2, device='cpu')
    run('animate', model='runs/arm', out='moved.mp4', device='cpu', scale=1.)
    return here

def test_train_leaves_a_run(chain):
    run = chain/'runs'/'arm'
    assert {p.name for p in run.iterdir()}=={'config.json','metrics.jsonl','metrics.json','model.safetensors','preview.png','preview.gif','state'}
    assert json.loads((run/'config.json').read_text())['model']['n_kp']==4
    metrics = json.loads((run/'metrics.json').read_text())
    assert 0<metrics['l1']<1 and metrics['l1_copy']>0 and metrics['warp_error_zero']>0
    assert pictures(chain/'train.ipynb')==2 and 'L1, against copy' in text(chain/'train.ipynb')

def test_reconstruct_leaves_numbers_and_pictures(chain):
    assert {p.name for p in (chain/'rec').iterdir()}=={'metrics.json','comparison.png','best.png','worst.png','reconstruction.gif'}
    metrics = json.loads((chain/'rec'/'metrics.json').read_text())
    assert metrics['clips']==2 and metrics['best_ratio']<=metrics['worst_ratio'] and metrics['best_clip']!=metrics['worst_clip']
    assert pictures(chain/'reconstruct.ipynb')==3 and metrics['best_clip'] in text(chain/'reconstruct.ipynb')

def test_animate_keeps_speed_length_and_sound(chain):
    made, driving = probe(chain/'moved.mp4'), probe(share('data_samples','driving.mp4'))
    assert (made.frames, made.fps, made.has_sound, made.size)==(driving.frames, driving.fps, True, (32,32))
    assert pictures(chain/'animate.ipynb')==1 and any('<video' in ''.join(o.get('data', {}).get('text/html', '')) for o in outputs(chain/'animate.ipynb'))

def test_their_outputs_are_small_and_make_a_page(chain):
    for name in ('train','reconstruct','animate'):
        assert (chain/f'{name}.ipynb').stat().st_size<1e6
        assert page(chain/f'{name}.ipynb', chain/f'{name}.html').read_text().count('<img')>=pictures(chain/f'{name}.ipynb')

def test_bench_compares_in_turns(tmp_path):
    run_notebook('bench', tmp_path/'b.ipynb', dict(rounds=1, frames=2, batch=2, device='cpu', out='b.json'), cwd=tmp_path, progress=False)
    found = json.loads((tmp_path/'b.json').read_text())
    assert found['frames']['plain, fp32'][1]==1 and {'prepared, fp32','prepared, bf16'}<=set(found['frames']) and all(s>0 and math.isfinite(r) for s,r in found['training'].values())
    assert all(abs(sum(kinds.values())-1)<1e-6 for kinds in found['operators'].values()) and any(k.startswith('convolution') for k in found['operators']['toy step'])

def test_ablate_trains_measures_and_goes_on(tmp_path):
    given = dict(method='monkeynet', data='toy:arm', variants=['no F','full'], out='abl', steps=4, clips=3, frames=4, eval_clips=2, device='cpu', options=dict(batch=2))
    run_notebook('ablate', tmp_path/'a.ipynb', given, cwd=tmp_path, progress=False)
    found = json.loads((tmp_path/'abl'/'ablation.json').read_text()); rows = found['variants']
    assert [*rows]==['no F','full'] and rows['no F']['weights']<rows['full']['weights'] and (found['device'], found['steps'])==('cpu', 4)
    assert abs(rows['no F']['metrics'][0]['warp_ratio']-1)<1e-3 and pictures(tmp_path/'a.ipynb')==2 and (tmp_path/'abl'/'films.jpg').exists() # no flow: nothing is read elsewhere
    assert '| no F |' in text(tmp_path/'a.ipynb') and 'one seed' in text(tmp_path/'a.ipynb')
    run_notebook('ablate', tmp_path/'b.ipynb', given, cwd=tmp_path, progress=False)
    assert json.loads((tmp_path/'abl'/'ablation.json').read_text())==found

def test_compare_trains_methods_alike(tmp_path):
    given = dict(methods=['fomm','hdam'], data='toy:arm', out='cmp', steps=4, clips=3, frames=4, eval_clips=2, device='cpu', options=dict(batch=2))
    run_notebook('compare', tmp_path/'a.ipynb', given, cwd=tmp_path, progress=False)
    found = json.loads((tmp_path/'cmp'/'comparison.json').read_text()); rows = found['variants']
    assert [*rows]==['fomm','hdam'] and all(math.isfinite(r['metrics'][0][k]) for r in rows.values() for k in ('akd_ratio','aed_ratio','warp_ratio','l1_ratio')) and found['steps']==4
    steps = {n: json.loads((tmp_path/'cmp'/n/'config.json').read_text())['train']['steps'] for n in ('fomm-0','hdam-0','hdam-0-dam')}
    assert steps=={'fomm-0': 4, 'hdam-0': 2, 'hdam-0-dam': 2} and '| hdam |' in text(tmp_path/'a.ipynb') and pictures(tmp_path/'a.ipynb')==1

def test_forecast_compares_with_doing_nothing(tmp_path):
    run_notebook('forecast', tmp_path/'f.ipynb', dict(model='monkeynet-body', run='fc', steps=5, clips=4, frames=12, length=8, hidden=8, eval_clips=2, device='cpu'), cwd=tmp_path, progress=False)
    assert (tmp_path/'fc'/'model.safetensors').exists() and pictures(tmp_path/'f.ipynb')>=1
    said = text(tmp_path/'f.ipynb').lower(); assert all(word in said for word in ('fid','aed','hold'))

def test_disentangle_adds_a_third_mode_and_changes_nothing_else(tmp_path):
    run_notebook('disentangle', tmp_path/'d.ipynb', dict(model='tpsmm-body', run='dis', steps=6, clips=3, frames=6, pairs=1, device='cpu', options=dict(batch=8)), cwd=tmp_path, progress=False)
    before, after = load('tpsmm-body'), load(tmp_path/'dis')
    same = {k: torch.equal(v, after.state_dict()[k]) for k,v in before.state_dict().items() if not k.startswith('disentangler.')}
    assert all(same.values()) and after.disentangler is not None and set(after.info['disentangled']['transfer'])=={'absolute','relative','disentangled'}
    assert not torch.equal(after.disentangler.decode[0].weight, before.disentangler.decode[0].weight) # a new network, not the shipped one
    with pytest.raises(Exception, match='expected one of mraa or tpsmm'): run_notebook('disentangle', tmp_path/'e.ipynb', dict(model='fomm-body', run='no', steps=2, clips=2), cwd=tmp_path, progress=False)
    assert not (tmp_path/'no').exists()

@pytest.mark.parametrize('p', [pytest.param(p, id=p.stem) for p in shipped])
def test_parameters_say_what_they_are(p):
    for name,o in notebook_parameters(p).items():
        assert o.kind and o.help, f'{p.name}: {name} needs a type and a comment'
        assert check_parameters(p, {name: o.default})=={name: o.default}

# ---- what is refused ----
@pytest.mark.parametrize('given,says', [
    (dict(step=3), 'steps'), (dict(Method='fomm'), 'method'), (dict(steps='many'), 'expected int'), (dict(steps=2.5), 'expected int'), (dict(resume=1), 'expected bool'),
    (dict(method=None), 'expected str'), (dict(options=[1]), 'expected dict'), (dict(steps=True), 'expected int')])
def test_a_wrong_parameter_is_refused_before_anything_runs(given, says, tmp_path):
    with pytest.raises(InputError, match=says) as e: run_notebook('train', tmp_path/'out.ipynb', given, tmp_path, False)
    assert '\n' not in str(e.value) and not any(tmp_path.iterdir())

@pytest.mark.parametrize('make,says', [
    (lambda d: notebook(d/'n.ipynb', 'steps = 1', tags=()), 'found 0'), (lambda d: d/'n.ipynb', 'neither a file'), (lambda d: 'trian', 'did you mean train'),
    (lambda d: (d/'n.ipynb').write_text('not json') and d/'n.ipynb', 'expected a notebook'), (lambda d: (d/'n.ipynb').write_text('[]') and d/'n.ipynb', 'expected a notebook'),
    (lambda d: notebook(d/'n.ipynb', 'steps = = 1'), 'expected a notebook')])
def test_what_is_no_run_notebook_is_refused(make, says, tmp_path):
    with pytest.raises(InputError, match=says): run_notebook(make(tmp_path), tmp_path/'out'/'o.ipynb', {}, tmp_path, False)
    assert not (tmp_path/'out').exists()

def test_two_parameters_cells_are_refused(tmp_path):
    p = notebook(tmp_path/'n.ipynb', 'a = 1'); nb = json.loads(p.read_text()); nb['cells'] *= 2; p.write_text(json.dumps(nb))
    with pytest.raises(InputError, match='found 2'): notebook_parameters(p)

def test_papermill_missing(monkeypatch, tmp_path):
    for name in [m for m in sys.modules if m.partition('.')[0]=='papermill']: monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, 'papermill', None)
    with pytest.raises(InputError, match=r'pip install "animlib\[notebooks\]"'): run_notebook('train', tmp_path/'o.ipynb', {}, tmp_path, False)
    assert not any(tmp_path.iterdir())

# ---- what happens when it fails ----
def test_a_failing_cell_is_one_line_and_the_notebook_is_kept(tmp_path):
    p = notebook(tmp_path/'n.ipynb', 'n = 1', 'print("begun")', 'for i in range(9):\n    1/(i-n)')
    with pytest.raises(NotebookFailed, match=r'ZeroDivisionError: .*cell \[4\].*for i in range.*out\.ipynb') as e: run_notebook(p, tmp_path/'out.ipynb', dict(n=4), tmp_path, False)
    assert '\n' not in str(e.value) and 'begun' in text(tmp_path/'out.ipynb') and 'n = 4' in (tmp_path/'out.ipynb').read_text()

def test_a_wrong_input_stays_a_wrong_input(tmp_path):
    with pytest.raises(InputError, match='no trained model'): run_notebook('animate', tmp_path/'o.ipynb', dict(model='fomm-bodi'), tmp_path, False)
    assert (tmp_path/'o.ipynb').exists() and not (tmp_path/'runs').exists()

def test_a_kernel_that_dies_is_reported(tmp_path):
    p = notebook(tmp_path/'n.ipynb', 'n = 1', 'print("begun", flush=True)', 'import os; os._exit(3)')
    with pytest.raises(NotebookFailed, match='(?i)kernel'): run_notebook(p, tmp_path/'out.ipynb', {}, tmp_path, False)
    assert 'begun' in text(tmp_path/'out.ipynb')

def test_it_runs_in_this_python_whatever_jupyter_knows(tmp_path, monkeypatch):
    other = tmp_path/'jupyter'/'kernels'/'python3'; other.mkdir(parents=True)
    (other/'kernel.json').write_text(json.dumps(dict(argv=['no-such-python'], display_name='other', language='python')))
    monkeypatch.setenv('JUPYTER_PATH', str(tmp_path/'jupyter')); monkeypatch.delenv('PYTHONPATH', raising=False)
    p = notebook(tmp_path/'n.ipynb', 'n = 1', 'import animlib, sys; print(sys.executable, animlib.__file__)')
    run_notebook(p, tmp_path/'o.ipynb', {}, tmp_path, False)
    assert text(tmp_path/'o.ipynb').split()==[sys.executable, pipelines.__file__.replace('pipelines','__init__')]

def test_the_notebook_is_not_its_own_output(tmp_path):
    p = notebook(tmp_path/'n.ipynb', 'n = 1'); before = p.read_bytes()
    with pytest.raises(InputError, match='itself'): run_notebook(p, p, {}, tmp_path, False)
    assert p.read_bytes()==before

def test_reconstruct_refuses_without_a_trace(tmp_path):
    with pytest.raises(InputError): reconstruct('fomm-body', 'toy:bodi', tmp_path/'r', 2, 'cpu', False)
    assert not (tmp_path/'r').exists()

# ---- the demonstration ----
@lru_cache(1)
def finished_demo(folder): return demo(folder, progress=False)

@pytest.fixture
def demo_folder(scratch): return finished_demo(scratch/'demo')

def test_demo_leaves_four_files(demo_folder):
    assert {p.name for p in demo_folder.iterdir()}=={'animation.mp4','comparison.png','demo.ipynb','demo.html'}
    made, driving = probe(demo_folder/'animation.mp4'), probe(share('data_samples','driving.mp4'))
    assert (made.frames, made.fps, made.has_sound)==(driving.frames, driving.fps, True)
    film = Video.open(demo_folder/'animation.mp4').tensor()[...,16:,:]
    assert (film[0]-film[12]).abs().mean()>.01 and (film[0,:,:,-256:]-film[12,:,:,-256:]).abs().mean()>.01 # the result moves, too
    assert Image.open(demo_folder/'comparison.png').size==(6*130-2, 16+4*130-2)

def test_demo_is_nearer_to_the_true_answer_than_the_picture(demo_folder):
    shares = dict(re.findall(r'\| ([^|]+) \| [\d.]+ \| (\d+)% \|', text(demo_folder/'demo.ipynb')))
    assert shares['the picture, unmoved']=='100' and int(shares['animated, relative'])<80

def test_demo_page_asks_no_network(demo_folder):
    html = (demo_folder/'demo.html').read_text(encoding='utf-8')
    assert html.count('<video')>=4 and html.count('<img')>=1 and len(html)<4e6
    assert not re.search(r'<(script|link|iframe|object|embed)\b', html) and not re.search(r'src\s*=\s*["\']?(?!["\']?data:)', html) and not re.search(r'@import|url\(', html)

def test_demo_takes_real_films_and_refuses_what_is_none(tmp_path):
    with pytest.raises(InputError, match='actions'): demo(tmp_path/'d', tmp_path/'nothing', False)
    assert not (tmp_path/'d').exists()

# ---- the samples ----
def test_samples_are_what_the_code_draws():
    here = share('data_samples')
    assert (read_image(here/'source.png')-figure(12, 7, 128, 1)[0]).abs().mean()<.004, 'the toy world has changed: animlib.pipelines.make_samples("data_samples")'
    assert (Video.open(here/'driving.mp4').tensor()[::12]-figure(7, None, 128)[::12]).abs().mean()<.03
    assert sum(p.stat().st_size for p in here.iterdir() if p.is_file())<1e6

def test_zoo_table_lists_the_zoo():
    lines = zoo_table().splitlines()
    assert len(lines)==2+len(zoo()) and all(any(l.startswith(f'| {n} |') for l in lines) for n in zoo())
    assert len({l.count('|') for l in lines})==1

def test_readme_of_the_zoo_says_what_the_headers_say():
    says = (share('data_samples','zoo')/'README.md').read_text(encoding='utf-8')
    assert zoo_table() in says, 'put what animlib.pipelines.zoo_table() gives between the two marks of data_samples/zoo/README.md'
