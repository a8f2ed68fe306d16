"The command line as shells, schedulers and torchrun meet it. What it refuses is in test_bad_inputs.py."
import json, os, re, signal, subprocess, sys, time
from pathlib import Path
import pytest, torch
from PIL import Image
import animlib
from animlib import cli
from animlib.cli import main
from animlib.data import toy
from animlib.data.video import Video, probe
from test_project import ini

root = Path(__file__).parents[1]
COMMANDS = 'demo animate train reconstruct convert data run models bench'.split()
ENV = os.environ|dict(PYTHONPATH=os.pathsep.join([str(root), os.environ.get('PYTHONPATH','')]).rstrip(os.pathsep))
def shell(*argv, **kw): return subprocess.run([sys.executable, *map(str, argv)], capture_output=True, text=True, timeout=120, env=ENV, **kw)

@pytest.fixture(scope='module')
def pair(tmp_path_factory):
    "A picture and a driving video."
    d = tmp_path_factory.mktemp('pair')
    clip = toy.clips('body', 2, 10, 32, toy.split_seed('test')).video
    Image.fromarray((clip[0,0]*255).byte().permute(1,2,0).numpy()).save(d/'me.png'); Video.from_tensor(clip[1], 10).save(d/'dance.mp4')
    return d

# ---- at once ----
@pytest.mark.parametrize('module', ['animlib','animlib.cli'])
def test_help_is_there_at_once(module):
    start = time.perf_counter(); out = shell('-X', 'importtime', '-m', module, '--help'); took = time.perf_counter()-start
    loaded = {l.rpartition('|')[2].strip().split('.')[0] for l in out.stderr.splitlines()}
    assert out.returncode==0 and took<3 and not loaded&{'torch','numpy','PIL','av','einops','yaml','tqdm','safetensors'}
    assert all(re.search(rf'^    {c} ', out.stdout, re.M) for c in COMMANDS), out.stdout

@pytest.mark.parametrize('command', COMMANDS)
def test_every_command_explains_itself(command, capsys):
    assert main([command, '--help'])==0
    out,err = capsys.readouterr()
    assert out.startswith(f'usage: animlib {command}') and not err and all(len(l)<=112 for l in out.splitlines())

def test_every_command_is_there_and_no_other(): assert [*cli.parser()._subparsers._group_actions[0].choices]==COMMANDS

def test_version(capsys): assert main(['--version'])==0 and capsys.readouterr().out==f"animlib {ini['version']}\n"

# ---- endings ----
def test_endings_in_a_shell(pair, tiny_model_file, tmp_path):
    "Three real processes: done, refused, and a fault of ours, which keeps its traceback."
    argv = ['-m','animlib','animate','--model',tiny_model_file,'--source',pair/'me.png','--driving',pair/'dance.mp4','--device','cpu','--out']
    good = shell(*argv, tmp_path/'o.mp4')
    assert (good.returncode, good.stdout)==(0, f'{tmp_path}{os.sep}o.mp4: 10 frames of 32x32, 10 frames a second\n') and all(l.startswith('animlib: note: ') for l in good.stderr.splitlines()), good
    bad = shell(*argv, tmp_path/'o.doc')
    assert (bad.returncode, bad.stdout, bad.stderr.count('\n'))==(2, '', 1) and bad.stderr.startswith('animlib: error: '), bad
    ours = shell('-c', 'import sys; from animlib import cli; cli._models = lambda a: 1/0; sys.exit(cli.main(["models"]))')
    assert ours.returncode==1 and 'ZeroDivisionError' in ours.stderr and 'Traceback' in ours.stderr

def test_debug_shows_where(pair, tiny_model_file):
    with pytest.raises(animlib.InputError): main(['animate','--model',tiny_model_file,'--source',pair/'me.png','--driving',pair/'dance.mp4','--out','o.doc','--debug'])

def test_failures_are_one(capsys, monkeypatch):
    from animlib.training import TrainingDiverged
    for error,code,word in ((TrainingDiverged('step 3: the loss is not finite'), 1, 'step 3'), (torch.OutOfMemoryError('2\n lines') if hasattr(torch, 'OutOfMemoryError') else None, 1, '--batch'),
                            (KeyboardInterrupt(), 130, 'stopped'), (animlib.InputError('two\nlines'), 2, 'two lines'), (PermissionError(13, 'Permission denied', '/x'), 2, '/x: Permission denied'), (OSError(28, 'No space left on device'), 2, 'No space')):
        if error is None: continue
        def fails(a): raise error
        monkeypatch.setattr(cli, '_models', fails)
        assert main(['models'])==code
        out,err = capsys.readouterr(); assert word in err and err.count('\n')==1 and err.startswith('animlib: ')

def test_a_training_that_diverges(tmp_path, capsys):
    run = tmp_path/'run'
    assert main(f'train fomm --data toy:arm --preset toy --steps 30 --clips 2 --frames 2 --run {run} --device cpu -o lr=1e30 -o batch=2 -o log_every=1 -o preview_every=0'.split())==1
    out,err = capsys.readouterr()
    assert err.startswith('animlib: failed: step ') and err.count('\n')==1 and 'bad_batch' in err and (run/'bad_batch.safetensors').exists() and not (run/'model.safetensors').exists()

def test_stopping_a_training(tmp_path):
    "Ctrl-C: 130, one line, and it says how to go on."
    run = tmp_path/'run'
    argv = [sys.executable,'-m','animlib',*f'train fomm --data toy:arm --preset toy --steps 100000 --clips 2 --frames 2 --run {run} --device cpu -o batch=2 -o save_every=2 -o preview_every=0'.split()]
    listen = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) # started in the background, a shell's children ignore Ctrl-C
    p = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENV, preexec_fn=listen)
    try:
        until = time.time()+90
        while not [*(run/'state').glob('step-*.pt')] and time.time()<until and p.poll() is None: time.sleep(.05)
        p.send_signal(signal.SIGINT); out,err = p.communicate(timeout=60)
    finally: p.kill()
    assert p.returncode==130 and re.fullmatch(r'animlib: stopped after step \d+ was saved; the same command with --resume goes on from there\n', err), (p.returncode, err)

# ---- the commands ----
def test_animate_takes_every_option(pair, tiny_model_file, tmp_path, capsys):
    common = ['--model',tiny_model_file,'--source',pair/'me.png','--driving',pair/'dance.mp4','--device','cpu']
    for i,more in enumerate(([], ['--mode','absolute'], ['--best-frame'], ['--scale','.5'], ['--size','40x64','--fit','pad','--batch','3','--precision','bf16'])):
        assert main(['animate',*common,'--out',tmp_path/f'{i}.png',*more])==0, capsys.readouterr().err
    frames = [Video.open(tmp_path/f'{i}.png', 32 if i<4 else None).frames.float() for i in range(4)]
    assert all((frames[0]-f).abs().mean()>.1 for f in frames[1:])
    assert Image.open(tmp_path/'4.png').size==(640,40)

def test_train_then_animate_with_the_run(pair, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    argv = 'train fomm --data toy:arm --preset toy --steps 4 --clips 2 --frames 3 --device cpu -o batch=2 -o save_every=2 -o lr=1e-3 -o n_kp=4 -o preview_every=4'.split()
    assert main(argv)==0 and 'runs/fomm-toy-arm-toy' in capsys.readouterr().out.replace('\\', '/')
    run = Path('runs/fomm-toy-arm-toy'); config = json.loads((run/'config.json').read_text())
    assert (config['train']['lr'], config['train']['steps'], config['model']['n_kp'])==(1e-3, 4, 4)
    assert {'config.json','metrics.jsonl','model.safetensors','preview.gif','state'}<={p.name for p in run.iterdir()}
    assert main(['animate','--model',run,'--source',pair/'me.png','--driving',pair/'dance.mp4','--out','o.mp4','--device','cpu','--scale','1'])==0 and probe('o.mp4').frames==10
    capsys.readouterr()
    assert main(argv)==2 and 'pass resume (--resume)' in capsys.readouterr().err

def test_train_on_a_folder(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path); monkeypatch.setenv('ANIMLIB_CACHE', str(tmp_path/'cache'))
    for i,v in enumerate(toy.clips('animal', 3, 4, 48, 1).video): Video.from_tensor(v, 10).save(tmp_path/'My Videos'/'train'/f'{i}.gif')
    Video.from_tensor(v.flip(0), 10).save(tmp_path/'My Videos'/'test'/'t.gif')
    assert main(['data','check',tmp_path/'My Videos'])==0 and '4 clips, 16 frames, 0 problems' in capsys.readouterr().out
    assert main(['train','fomm','--data',tmp_path/'My Videos','--preset','toy','--steps','2','--device','cpu','-o','batch=2'])==0
    assert Path('runs/fomm-my-videos-toy/model.safetensors').exists()

def test_data_check_names_every_problem(tmp_path, capsys):
    Video.from_tensor(toy.clips('animal', 1, 4, 48, 1).video[0], 10).save(tmp_path/'good.gif')
    (tmp_path/'bad.mp4').write_bytes(b'text')
    assert main(['data','check',tmp_path])==1
    out,err = capsys.readouterr(); assert 'problem bad.mp4' in out and 'text file' in out and not err

def test_models_lists_what_there_is(capsys):
    from animlib.checkpoints import METHODS, zoo
    assert main(['models'])==0
    out = capsys.readouterr().out; assert all(n in out for n in (*METHODS, *zoo()))

def test_reconstruct_leaves_numbers(tiny_model_file, tmp_path, capsys):
    assert main(['reconstruct','--model',tiny_model_file,'--data','toy:body','--out',tmp_path/'r','--limit','2','--device','cpu'])==0
    out = capsys.readouterr().out; metrics = json.loads((tmp_path/'r'/'metrics.json').read_text())
    assert all(f'{k}: ' in out for k in metrics) and 'metrics.json' in out

def test_run_executes_a_notebook(tmp_path, capsys):
    pytest.importorskip('papermill')
    cell = lambda source, *tags: dict(cell_type='code', execution_count=None, id=f'c{len(source)}', metadata={'tags': [*tags]}, outputs=[], source=source)
    nb = dict(cells=[cell('steps = 1  # how many\nlr = 0.1  # how fast', 'parameters'), cell('print(steps+1, lr)')], metadata={'kernelspec': dict(name='python3', display_name='python3', language='python')}, nbformat=4, nbformat_minor=5)
    (tmp_path/'n.ipynb').write_text(json.dumps(nb))
    assert main(['run',tmp_path/'n.ipynb','-p','steps','41','-p','lr','2e-4','--out',tmp_path/'out.ipynb'])==0
    assert '42 0.0002' in (tmp_path/'out.ipynb').read_text() and 'out.ipynb' in capsys.readouterr().out

@pytest.mark.parametrize('command,module,function', [('demo','pipelines','demo'), ('bench','pipelines','bench'), ('convert','checkpoints','convert')])
def test_long_commands_call_what_they_name(command, module, function, monkeypatch, capsys):
    "The functions have tests of their own; here their arguments must fit."
    import importlib, inspect
    mod = importlib.import_module(f'animlib.{module}')
    like = inspect.signature(getattr(mod, function)); got = {}
    monkeypatch.setattr(mod, function, lambda *a, **kw: got.update(like.bind(*a, **kw).arguments))
    assert main(dict(demo=['demo','--out','x'], bench=['bench','--device','cpu'], convert=['convert','a.pth.tar','--config','c.yaml','--out','m.safetensors','--no-align-corners'])[command])==0
    want = dict(demo=dict(out='x'), bench=dict(device='cpu'), convert=dict(checkpoint='a.pth.tar', config='c.yaml', out='m.safetensors', align_corners=False))[command]
    assert want.items()<=got.items(), got
