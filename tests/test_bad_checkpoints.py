"""Every way a model file can be wrong: one InputError, one line that says which file, what was found and what to do; nothing half-written, no code run."""
import copy, json, os
from pathlib import Path
import pytest, torch
from safetensors.torch import load_file, save_file
from animlib.checkpoints import build, convert, from_official, load, models, read_official, share, zoo
from animlib.core import InputError
from animlib.training import read_header, save_model

here = Path(__file__).parent/'golden'
CONFIG = json.loads((here/'fomm.json').read_text())['config']
STATE = {}
for k,v in load_file(here/'fomm.safetensors').items():
    if k.startswith('sd.'): STATE.setdefault(k.split('.')[1], {})[k.split('.',2)[2]] = v

def refuses(f, *words):
    "The message of the InputError that `f` raises: one line, with all of `words`."
    with pytest.raises(InputError) as e: f()
    text = str(e.value)
    assert '\n' not in text and len(text)<500, text
    for w in words: assert w in text, (w, text)
    return text

class Runs:
    "A pickle that makes a folder when it is loaded."
    def __init__(self, path): self.path = path
    def __reduce__(self): return (os.mkdir, (str(self.path),))

@pytest.fixture
def yaml_file(tmp_path):
    p = tmp_path/'vox.yaml'; p.write_text(json.dumps(CONFIG)); return p # json is yaml

@pytest.fixture
def ours(tmp_path):
    save_model(tmp_path/'ours.safetensors', build('fomm','toy'), data='toy:body'); return tmp_path/'ours.safetensors'

def saved(path, what, **kw): torch.save(what, path, **kw); return path
def written(path, data): path.write_bytes(data); return path

# ---- official files ----
@pytest.mark.parametrize('data,words', [(b'<!DOCTYPE html><html>Quota</html>', ['HTML page','fetch the file']), (b'version https://git-lfs.github.com/spec/v1\n', ['git-lfs','git lfs pull']),
    (b'see the release page', ['text file']), (b'', ['empty file']), (bytes(range(256))*8, ['download it again']), (b'PK\x03\x04'+bytes(200), ['download it again']), (b'\x80\x02}q\x00', ['download it again'])])
def test_what_is_no_checkpoint(tmp_path, yaml_file, data, words):
    p = written(tmp_path/'a.pth.tar', data)
    refuses(lambda: read_official(p), 'a.pth.tar', *words); refuses(lambda: load(p, config=yaml_file), 'a.pth.tar', *words[-1:])

@pytest.mark.parametrize('zipped', [True,False])
@pytest.mark.parametrize('part', [.1,.5,.9,.999])
def test_what_was_cut_off(tmp_path, zipped, part):
    whole = saved(tmp_path/'a.pth.tar', STATE, _use_new_zipfile_serialization=zipped).read_bytes()
    refuses(lambda: read_official(written(tmp_path/'cut.pth.tar', whole[:int(len(whole)*part)])), 'cut.pth.tar', 'download it again')

@pytest.mark.parametrize('zipped', [True,False])
def test_code_is_not_run(tmp_path, zipped):
    p = saved(tmp_path/'a.pth.tar', dict(generator=Runs(tmp_path/'it-ran')), _use_new_zipfile_serialization=zipped)
    refuses(lambda: read_official(p), 'contains code', 'mkdir', 'not loaded')
    assert not (tmp_path/'it-ran').exists()

@pytest.mark.parametrize('what,words', [([1,2], ['found list']), ({}, ['an empty dict']), (dict(epoch=3, optimizer=dict(state={}, param_groups=[])), ['found epoch, optimizer']),
    (STATE['generator'], ['the weights of one module']), (dict(generator=dict(a=torch.zeros(1), b=3)), ['module generator','found int'])])
def test_what_holds_no_modules(tmp_path, what, words): refuses(lambda: read_official(saved(tmp_path/'a.pth', what)), 'a.pth', *words)

def test_paths_that_lead_nowhere(tmp_path, ours):
    refuses(lambda: read_official(tmp_path/'none.pth.tar'), 'none.pth.tar', 'found nothing'); refuses(lambda: read_official(tmp_path), 'found a folder')
    refuses(lambda: read_official(ours), 'safetensors file')

def test_formats_and_wrappers(tmp_path):
    for zipped in (True,False):
        for name in ('a.pth.tar','a.pth','a.pt'):
            p = saved(tmp_path/name, {**{m: {f'module.{k}': v for k,v in d.items()} for m,d in STATE.items()}, 'epoch': 9, 'optimizer_generator': dict(state={0: dict(step=1)}, param_groups=[dict(lr=.1)])},
                      _use_new_zipfile_serialization=zipped)
            got = read_official(p)
            assert got.keys()==STATE.keys() and all(torch.equal(v, got[m][k]) for m,d in STATE.items() for k,v in d.items())

def without(module, key): return {**STATE, module: {k: v for k,v in STATE[module].items() if k!=key}}
def with_(module, **new): return {**STATE, module: STATE[module] | new}
@pytest.mark.parametrize('state,words', [
    (without('generator','first.conv.weight'), ['generator.first.conv.weight','missing']), (without('kp_detector','jacobian.bias'), ['kp_detector.jacobian.bias','missing']),
    (with_('generator', extra=torch.zeros(2)), ['generator.extra','without a place']), (with_('kp_detector', **{'kp.bias': torch.zeros(7)}), ['kp_detector.kp.bias','(5,)','(7,)']),
    (with_('generator', **{'final.bias': torch.full((3,), float('nan'))}), ['generator.final.bias','finite']), (with_('generator', **{'first.0.bias': torch.zeros(8)}), ['same place']),
    ({'kp_detector': STATE['kp_detector']}, ['generator is missing']), ({**STATE, 'bg_predictor': dict(a=torch.zeros(1))}, ['bg_predictor'])], ids=lambda o: o[0] if isinstance(o, list) else '')
def test_every_tensor_is_accounted_for(state, words): refuses(lambda: from_official('fomm', state, CONFIG), *words)

# ---- official configs ----
def changed(path, value):
    out = copy.deepcopy(CONFIG); *way,last = path.split('.'); part = out['model_params']
    for p in way: part = part[p]
    part.pop(last) if value is None else part.__setitem__(last, value)
    return out
@pytest.mark.parametrize('path,value,words', [('kp_detector_params.num_block', 2, ['num_block','num_blocks']), ('use_magic', True, ['use_magic']), ('common_params.num_kp', None, ['common_params.num_kp is missing']),
    ('generator_params.max_features', None, ['generator_params.max_features is missing']), ('common_params.num_kp', 'ten', ['num_kp','expected int',"'ten'"]), ('common_params.num_kp', True, ['expected int']),
    ('common_params.num_kp', 0, ['more than 0']), ('common_params.estimate_jacobian', 1, ['expected bool']), ('common_params.num_channels', 1, ['expected 3']),
    ('kp_detector_params.scale_factor', .3, ['no model can be built','0.3']), ('kp_detector_params.temperature', -1, ['more than 0']), ('generator_params.dense_motion_params', 5, ['dense_motion_params'])])
def test_options_of_official_configs(path, value, words): refuses(lambda: from_official('fomm', STATE, changed(path, value)), *words)

@pytest.mark.parametrize('method,params', dict(tpsmm=dict(common_params=dict(num_tps=10)), mraa=dict(region_predictor_params=dict(num_blocks=5), generator_params=dict(pixelwise_flow_predictor_params={})),
    dam=dict(generator_params=dict(num_root_kp=1, num_root_kp_orders=[1], dense_motion_params=dict(num_blocks=5))), hdam=dict(generator_params=dict(num_root_kp=3, num_root_kp_orders=[2], dense_motion_params=dict(num_blocks=5))),
    monkeynet=dict(generator_params=dict(kp_embedding_params=dict(norm_const=100), dense_motion_params=dict(num_blocks=5)))).items())
def test_configs_of_other_methods(method, params): refuses(lambda: from_official('fomm', STATE, dict(model_params=params)), 'config', method, 'fomm')

def test_configs_without_model_params():
    refuses(lambda: from_official('fomm', STATE, dict(MODEL=dict(TRANSFORMER_DEPTH=12))), 'motion_transformer'); refuses(lambda: from_official('fomm', STATE, dict(ngf=64, inner_nc=128)), 'x2face')
    refuses(lambda: from_official('fomm', STATE, dict(train_params={})), 'config', 'model_params'); refuses(lambda: from_official('fom', STATE, CONFIG), 'fom', 'fomm')

@pytest.mark.parametrize('data,words', [(b'<html></html>', ['HTML page']), (b'', ['empty file']), (b'\x80\x02\x00\xff', ['binary']), (b'a: [1,', ['text that is not']), (b'- 1\n- 2', ['found list']), (b'!!python/object/apply:os.mkdir [x]', ['text that is not'])])
def test_yaml_files(tmp_path, data, words): refuses(lambda: from_official('fomm', STATE, written(tmp_path/'c.yaml', data)), 'c.yaml', *words)

def test_yaml_that_is_not_there(tmp_path): refuses(lambda: from_official('fomm', STATE, tmp_path/'c.yaml'), 'c.yaml', 'found nothing')

def test_convert_leaves_nothing_behind(tmp_path, yaml_file):
    good, bad = saved(tmp_path/'good.pth.tar', STATE), saved(tmp_path/'bad.pth.tar', without('generator','final.bias'))
    out = tmp_path/'out'
    refuses(lambda: convert(bad, yaml_file, out/'m.safetensors'), 'generator.final.bias'); refuses(lambda: convert(good, yaml_file, out/'m.pth'), '.safetensors')
    refuses(lambda: convert(good, yaml_file, yaml_file/'m.safetensors'), 'cannot be written'); assert not out.exists()
    assert convert(good, yaml_file, out/'m.safetensors')==out/'m.safetensors' and [p.name for p in out.iterdir()]==['m.safetensors']
    of = read_header(out/'m.safetensors')['official']; assert of['file']=='good.pth.tar' and len(of['sha256'])==64
    before = (out/'m.safetensors').read_bytes()
    refuses(lambda: convert(bad, yaml_file, out/'m.safetensors'), 'missing'); assert (out/'m.safetensors').read_bytes()==before # an old file stays

# ---- our files ----
def again(path, change=lambda header, tensors: None):
    "The file, with its header or tensors changed."
    header, tensors = read_header(path), load_file(path); change(header, tensors)
    save_file(tensors, path, metadata={'animlib': json.dumps(header)}); return path

@pytest.mark.parametrize('change,words', [
    (lambda h,t: h.update(format='animlib 2'), ['animlib 2','upgrade']), (lambda h,t: h.update(method='gomm'), ['gomm','fomm']), (lambda h,t: h['cfg'].update(n_keypoints=3), ['n_keypoints']),
    (lambda h,t: h['cfg'].update(n_kp='6'), ['n_kp','expected int']), (lambda h,t: h['cfg']['sampling'].update(middle=1), ['sampling','middle']), (lambda h,t: h.update(cfg=3), ['cfg']), (lambda h,t: h.pop('cfg'), ['cfg']),
    (lambda h,t: h['cfg'].update(n_kp=7), ['expected shape']), (lambda h,t: h['cfg'].update(detector_scale=.3), ['no model can be built']), (lambda h,t: t.pop('dense.mask.bias'), ['dense.mask.bias','missing']),
    (lambda h,t: t.update(extra=torch.zeros(1)), ['extra','without a place']), (lambda h,t: t['generator.final.bias'].fill_(float('inf')), ['generator.final.bias','finite'])])
def test_our_files(ours, change, words): refuses(lambda: load(again(ours, change)), 'ours.safetensors', *words)

def test_an_older_file_keeps_the_defaults(ours):
    cfg = load(ours).cfg; assert load(again(ours, lambda h,t: h['cfg'].pop('kp_var'))).cfg==cfg

def test_files_that_are_not_ours(tmp_path, ours):
    save_file(dict(a=torch.zeros(1)), tmp_path/'b.safetensors'); refuses(lambda: load(tmp_path/'b.safetensors'), 'b.safetensors', 'without its header')
    whole = ours.read_bytes()
    for n in (9, 200, len(whole)//2, len(whole)-1): refuses(lambda: load(written(tmp_path/'cut.safetensors', whole[:n])), 'cut.safetensors', 'breaks off')
    refuses(lambda: load(written(tmp_path/'a.png', b'\x89PNG\r\n\x1a\n'+bytes(99))), 'a.png', 'something else'); refuses(lambda: load(ours, config='x.yaml'), 'leave config out')
    refuses(lambda: load(saved(tmp_path/'a.pth.tar', STATE)), 'needs its yaml', '--config'); refuses(lambda: load(ours, device='cudda'), 'cudda')

def test_names_that_are_not_there(tmp_path):
    refuses(lambda: load('fomm-bodyy'), "'fomm-bodyy'", 'no trained model'); refuses(lambda: load('fomm'), "animlib.build('fomm')")
    refuses(lambda: load(tmp_path/'m.safetensors'), 'found nothing'); refuses(lambda: load('runs/nowhere'), 'found nothing'); refuses(lambda: load(tmp_path), 'a folder')
    if zoo(): refuses(lambda: load(next(iter(zoo()))+'x'), f'did you mean', next(iter(zoo())))

# ---- good ones, for comparison ----
def test_a_half_precision_file_gives_float32(tmp_path):
    m = build('fomm','toy').eval(); save_model(tmp_path/'h.safetensors', m, half=True); x,y = torch.rand(2,1,3,32,32)
    back = load(tmp_path/'h.safetensors'); assert all(v.dtype!=torch.float16 for v in back.state_dict().values()) and not back.training
    with torch.no_grad(): assert (back(x,y).frame-m(x,y).frame).abs().max()<5e-3

def test_loading_leaves_the_random_state_alone(ours):
    torch.manual_seed(3); a = torch.rand(2); torch.manual_seed(3); load(ours); assert torch.equal(a, torch.rand(2))

def test_a_run_folder_is_a_model(ours): (run := ours.parent/'run').mkdir(); ours.rename(run/'model.safetensors'); assert load(run).method=='fomm'

def test_the_zoo_loads():
    assert share('data_samples').is_dir() and share('pipelines').is_dir()
    for name in zoo(): assert load(name).method in name
    text = repr(models()); assert all(name in text and name in models()._repr_html_() for name in ('fomm', *zoo()))
