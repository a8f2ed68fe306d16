"""Every way an input can be wrong, given to the command line: one line that says which input, what was expected, what was found
and what to do; exit code 2; no file left behind, no old one changed, and nothing that came with the input was run."""
import json, os
from pathlib import Path
import numpy as np, pytest, torch
from PIL import Image
from safetensors.torch import load_file, save_file
from animlib.cli import main
from animlib.data import toy
from animlib.data.video import Video
from animlib.training import read_header

here = Path(__file__).parent/'golden'
CONFIG = json.loads((here/'fomm.json').read_text())['config']
STATE = {}  # an official checkpoint of a small model, with random weights
for k,v in load_file(here/'fomm.safetensors').items():
    if k.startswith('sd.'): STATE.setdefault(k.split('.')[1], {})[k.split('.',2)[2]] = v

class Runs:
    "A pickle that makes a folder when it is loaded."
    def __init__(self, path): self.path = path
    def __reduce__(self): return (os.mkdir, (str(self.path),))

@pytest.fixture(scope='module')
def inputs(tmp_path_factory, tiny_model_file):
    "Good and bad files of every kind."
    d = tmp_path_factory.mktemp('inputs'); write = lambda name, data: (d/name).write_bytes(data)
    video = toy.clips('body', 1, 24, 64, toy.split_seed('test')).video[0]
    Video.from_tensor(video).save(d/'good.mp4'); Video.from_tensor(video[:1]).save(d/'one.mp4')
    Image.fromarray((video[0]*255).byte().permute(1,2,0).numpy()).save(d/'good.png')
    whole = (d/'good.mp4').read_bytes()
    write('empty.mp4', b''); write('cut.mp4', whole[:len(whole)*2//3]); write('text.mp4', b'this was a video once\n'); write('noise.mp4', bytes(range(256))*9)
    write('empty.png', b''); write('cut.png', (d/'good.png').read_bytes()[:900]); write('page.png', b'<!DOCTYPE html><html>404</html>')
    for name in 'html lfs no-videos nothing broken'.split(): (d/name).mkdir()
    write('html/vox-cpk.pth.tar', b'<!DOCTYPE html><html><title>Google Drive - Quota exceeded</title></html>')
    write('lfs/vox-cpk.pth.tar', b'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 238\n')
    torch.save(STATE, d/'good.pth.tar'); torch.save(dict(generator=Runs(d/'it-ran')), d/'code.pth.tar')
    torch.save({**STATE, 'generator': {k: v for k,v in STATE['generator'].items() if k!='first.conv.weight'}}, d/'missing.pth.tar')
    (d/'fomm.yaml').write_text(json.dumps(CONFIG))
    (d/'dam.yaml').write_text(json.dumps(dict(model_params=dict(common_params=dict(num_kp=11, num_root_kp=1, num_channels=3)))))
    (d/'code.yaml').write_text(f'!!python/object/apply:os.mkdir [{d}/it-ran]')
    tensors, header = load_file(tiny_model_file), json.dumps(read_header(tiny_model_file))
    save_file({k: v for k,v in tensors.items() if k!='dense.mask.bias'}, d/'missing.safetensors', metadata={'animlib': header})
    save_file(tensors, d/'foreign.safetensors'); write('cut.safetensors', tiny_model_file.read_bytes()[:-1000])
    write('no-videos/readme.txt', b'none yet'); write('broken/a.mp4', whole); write('broken/b.mp4', whole[:len(whole)*2//3])
    return d

def everything(*folders): return {p: p.read_bytes() if p.is_file() else None for d in folders for p in sorted(d.rglob('*'))}

@pytest.fixture
def refuses(inputs, tiny_model_file, tmp_path, monkeypatch, capsys):
    "Runs a command in an empty folder; `IN/` is the folder of inputs, `MODEL` the tiny model."
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('ANIMLIB_CACHE', str(tmp_path/'cache'))
    (tmp_path/'old.mp4').write_bytes(b'an old result')
    def run(command, *words, code=2):
        before = everything(inputs, tmp_path)
        got = main([a.replace('IN/', f'{inputs}/').replace('MODEL', str(tiny_model_file)) for a in command.split()])
        out,err = capsys.readouterr()
        assert (got, out)==(code, ''), (got, out, err)
        assert err.startswith('animlib: error: ') and err.count('\n')==1 and len(err)<600, err
        for w in words: assert w in err, (w, err)
        for p in (tmp_path/'cache').glob('*'): pytest.fail(f'{p} is left')
        (tmp_path/'cache').rmdir() if (tmp_path/'cache').exists() else None
        assert everything(inputs, tmp_path)==before, 'files were left, or changed'
        assert not (inputs/'it-ran').exists()
    return run

ANIMATE = 'animate --model MODEL --source IN/good.png --driving IN/good.mp4 --out new.mp4 --device cpu'
CHANGES = [
    ('--driving IN/none.mp4', ['none.mp4','found nothing','check the path']), ('--driving IN/empty.mp4', ['empty.mp4','empty file']), ('--driving IN/cut.mp4', ['cut.mp4','cut off or damaged']),
    ('--driving IN/text.mp4', ['text.mp4','text file']), ('--driving IN/noise.mp4', ['noise.mp4','no decoder knows']), ('--driving IN/one.mp4', ['one.mp4','at least 2 frames']), ('--driving IN/good.png', ['at least 2 frames']),
    ('--driving IN/nothing', ['folder without pictures']), ('--driving IN/page.png', ['HTML page']),
    ('--source IN/none.png', ['none.png','found nothing']), ('--source IN/empty.png', ['empty file']), ('--source IN/cut.png', ['cut.png','cut off or damaged']), ('--source IN/page.png', ['HTML page']), ('--source IN/nothing', ['found a folder']),
    ('--size 7', ['frame size 7x7','nearest: 8']), ('--size 32x30', ['frame size 32x30','multiples of 8']), ('--size 0', ['--size','found']), ('--mode realtive', ["did you mean 'relative'"]), ('--device tpu', ['device','cpu']),
    ('--scale 0', ['--scale']), ('--fit squeeze', ['--fit','crop']), ('--precision int8', ['--precision']), ('--batch none', ['--batch','whole number']), ('--sise 64', ['did you mean --size']),
    ('--out new.doc', ['new.doc','mp4']), ('--out new', ['no ending']), ('--out IN/good.mp4', ['the driving video']), ('--out IN/good.mp4/new.mp4', ['good.mp4'])]
@pytest.mark.parametrize('change,words,out', [(*c, out) for out in ('new.mp4','old.mp4') for c in CHANGES if out=='new.mp4' or '--out' not in c[0]])
def test_animate(refuses, change, words, out):
    "Whether the result would be a new file or would take an old one's place."
    refuses(ANIMATE.replace('new.mp4', out)+' '+change, *words)

@pytest.mark.parametrize('model,words', [
    ('fomm-bodyy', ["'fomm-bodyy'",'no trained model','fomm']), ('fomm', ['no trained model','animlib.build']), ('IN/none.safetensors', ['none.safetensors','found nothing']), ('IN/nothing', ['nothing','a folder']),
    ('IN/missing.safetensors', ['dense.mask.bias','missing']), ('IN/foreign.safetensors', ['foreign.safetensors','header']), ('IN/cut.safetensors', ['cut.safetensors','breaks off']),
    ('IN/good.png', ['good.png','model file']), ('IN/good.pth.tar', ['good.pth.tar','--config']),
    ('IN/html/vox-cpk.pth.tar --config IN/fomm.yaml', ['vox-cpk.pth.tar','HTML page']), ('IN/lfs/vox-cpk.pth.tar --config IN/fomm.yaml', ['vox-cpk.pth.tar','git-lfs pointer','git lfs pull']),
    ('IN/html/vox-cpk.pth.tar', ['vox-cpk.pth.tar','HTML page']), ('IN/code.pth.tar --config IN/fomm.yaml', ['code.pth.tar','contains code']), ('IN/missing.pth.tar --config IN/fomm.yaml', ['generator.first.conv.weight','missing']),
    ('IN/good.pth.tar --config IN/dam.yaml', ['dam']), ('IN/good.pth.tar --config IN/none.yaml', ['none.yaml','found nothing']), ('IN/good.pth.tar --config IN/code.yaml', ['code.yaml']), ('IN/good.pth.tar --config IN/good.png', ['good.png'])])
def test_models(refuses, model, words): refuses(ANIMATE.replace('MODEL', model), *words)

@pytest.mark.parametrize('command,words', [
    ('IN/html/vox-cpk.pth.tar --config IN/fomm.yaml', ['HTML page']), ('IN/lfs/vox-cpk.pth.tar --config IN/fomm.yaml', ['git lfs pull']), ('IN/code.pth.tar --config IN/fomm.yaml', ['contains code']),
    ('IN/missing.pth.tar --config IN/fomm.yaml', ['missing']), ('IN/good.pth.tar --config IN/dam.yaml', ['dam']), ('IN/good.pth.tar --config IN/fomm.yaml --method fomn', ['did you mean fomm']),
    ('IN/none.pth.tar --config IN/fomm.yaml', ['found nothing']), ('IN/good.pth.tar', ['required: --config'])])
def test_convert(refuses, command, words): refuses(f'convert {command} --out new.safetensors', *words)
def test_convert_to_another_format(refuses): refuses('convert IN/good.pth.tar --config IN/fomm.yaml --out new.pth', '.safetensors')

TRAIN = 'train fomm --data toy:arm --preset toy --steps 2 --clips 2 --frames 2 --run new --device cpu'
@pytest.mark.parametrize('command,words', [
    (TRAIN.replace('fomm','fomn',1), ['did you mean fomm']), (TRAIN.replace('toy:arm','toy:leg'), ['toy:leg','unknown family']), (TRAIN.replace('--preset toy','--preset tiny'), ['preset','tiny','toy']),
    (TRAIN.replace('toy:arm','IN/none'), ['none','a folder of videos']), (TRAIN.replace('toy:arm','IN/no-videos'), ['no-videos','found none']), (TRAIN.replace('toy:arm','IN/nothing'), ['found none']),
    (TRAIN.replace('toy:arm','IN/good.mp4'), ['a folder of videos','found a file']), (TRAIN.replace('toy:arm','IN/broken'), ['b.mp4','cut off or damaged']),
    (TRAIN+' -o stepss=3', ['did you mean steps']), (TRAIN+' -o n_kp=many', ['n_kp','expected int']), (TRAIN+' -o lr', ['key=value']), (TRAIN+' -o size=20', ['multiples of 8']), (TRAIN+' --stpes 3', ['did you mean --steps']),
    (TRAIN+' --steps 0', ['--steps','whole number above 0']), (TRAIN+' --device cudda', ['device'])])
def test_train(refuses, command, words): refuses(command, *words)

@pytest.mark.parametrize('command,words', [
    ('data check IN/none', ['none','a folder of videos']), ('data check IN/no-videos', ['found none']), ('data check IN/good.mp4', ['found a file']), ('data chekc IN/broken', ['invalid choice']),
    ('reconstruct --model fomm-bodyy --data toy:body', ['no trained model']), ('reconstruct --model MODEL --data toy:leg --device cpu', ['unknown family']), ('reconstruct --model MODEL --data IN/no-videos --device cpu', ['found none']),
    ('run nowhere', ['nowhere']), ('run IN/good.png', ['good.png']), ('run train -p stepss 3', ['stepss','did you mean']), ('fly', ['invalid choice','animate']), ('models now', ['not expected here'])])
def test_other_commands(refuses, command, words): refuses(command, *words)

def test_the_good_ones_are_good(inputs, tiny_model_file, tmp_path, capsys, monkeypatch):
    "What all of the above was derived from."
    monkeypatch.chdir(tmp_path)
    assert main(['convert', f'{inputs}/good.pth.tar', '--config', f'{inputs}/fomm.yaml', '--out', 'm.safetensors'])==0
    for model in ([str(tiny_model_file)], ['m.safetensors','--size','64'], [f'{inputs}/good.pth.tar','--config',f'{inputs}/fomm.yaml','--size','64']):
        assert main(['animate','--model',*model,'--source',f'{inputs}/good.png','--driving',f'{inputs}/good.mp4','--out','o.mp4','--device','cpu','--mode','absolute'])==0, capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir())==['m.safetensors','o.mp4']
