"Animation as users meet it: whatever the driving comes as, the result has its length, speed and sound, in memory that does not grow."
import json, os, subprocess, sys
from fractions import Fraction
from pathlib import Path
import av, numpy as np, pytest, torch
from PIL import Image
import animlib
from animlib.animate import advise, animate, animate_stream, find_keypoints, ready
from animlib.checkpoints import load
from animlib.core import InputError
from animlib.data import toy
from animlib.data.video import Video, VideoWriter, probe, read_image

SIZE,T,FPS = 32,12,12.5

@pytest.fixture(scope='module')
def model(tiny_model_file): return load(tiny_model_file)

@pytest.fixture(scope='module')
def clip(): return toy.clips('body', 1, T, SIZE, toy.split_seed('test')).video[0]

@pytest.fixture(scope='module')
def other(): return toy.clips('body', 1, 1, SIZE, toy.split_seed('test', 1)).video[0,0]

@pytest.fixture(scope='module')
def files(clip, tmp_path_factory):
    "The same driving clip as a strip, a folder of frames, a gif, a video and a video with sound."
    d = tmp_path_factory.mktemp('driving')
    video = Video.from_tensor(clip, FPS)
    for name in ('strip.png','frames/','film.mp4','film.gif'): video.save(f'{d}/{name}')
    with av.open(str(d/'tone.m4a'), 'w') as out:
        track = out.add_stream('aac', rate=48000)
        frame = av.AudioFrame.from_ndarray((.3*np.sin(np.arange(round(T/FPS*48000))/17)).astype(np.float32)[None], format='fltp', layout='mono')
        frame.sample_rate,frame.pts,frame.time_base = 48000,0,Fraction(1,48000)
        out.mux(track.encode(frame)); out.mux(track.encode(None))
    Video.from_tensor(clip, FPS, str(d/'tone.m4a')).save(d/'sound.mp4')
    return d

def run(model, source, driving, *args, **kw): return animate(model, source, driving, *args, **{**dict(device='cpu', progress=False), **kw})
def apart(a, b): return (a.frames.int()-b.frames.int()).abs().float()
def seconds(path, kind):
    with av.open(str(path)) as f:
        if kind=='audio': return sum(a.samples/a.sample_rate for a in f.decode(audio=0))
        return sum(1 for _ in f.decode(video=0))/float(f.streams.video[0].average_rate)

# ---- what goes in ----
def test_every_way_of_giving_the_driving_is_the_same(model, other, clip, files):
    strip = run(model, other, files/'strip.png')
    assert strip.frames.shape==(T,SIZE,SIZE,3)
    for same in (files/'frames', str(files/'strip.png'), Video.open(files/'strip.png')): assert apart(run(model, other, same), strip).max()==0
    assert apart(run(model, other, clip), strip).max()<=1      # floats, rounded to bytes first
    for close in ('film.mp4', 'film.gif'):
        got = run(model, other, files/close)
        assert len(got)==T and apart(got, strip).mean()<apart(Video(strip.frames.flip(0)), strip).mean()/2, close  # colours change a little, order does not

def test_every_way_of_giving_the_source_is_the_same(model, other, files, tmp_path):
    byte = (other*255).round().byte(); image = byte.permute(1,2,0).numpy()
    Image.fromarray(image).save(tmp_path/'s.png')
    want = run(model, tmp_path/'s.png', files/'strip.png')
    for same in (str(tmp_path/'s.png'), image, byte, Image.fromarray(image), [tmp_path/'s.png'], byte[None]): assert apart(run(model, same, files/'strip.png'), want).max()==0

def test_sources_that_are_not_used_are_mentioned(model, other, files, capsys):
    one = run(model, other, files/'strip.png', mode='absolute'); assert capsys.readouterr().err==''
    two = run(model, [other, 1-other], files/'strip.png', mode='absolute')
    assert apart(one, two).max()==0 and capsys.readouterr().err=='animlib: note: fomm uses 1 of the 2 source pictures: the first\n'

@pytest.mark.parametrize('fit', ['crop','stretch','pad'])
def test_other_shapes_are_fitted(model, fit):
    wide = toy.clips('body', 1, 3, (40,64), 7).video[0]
    assert run(model, wide[0], wide, fit=fit).frames.shape==(3,SIZE,SIZE,3)
    assert run(model, wide[0], wide, fit=fit, size=(40,64)).frames.shape==(3,40,64,3)

# ---- what comes out ----
@pytest.mark.parametrize('name', ['film.mp4','sound.mp4'])
@pytest.mark.parametrize('out', ['o.mp4','o.mkv','o.webm'])
def test_length_speed_and_sound_are_those_of_the_driving(model, other, files, tmp_path, name, out):
    assert run(model, other, files/name, tmp_path/out)==tmp_path/out
    info = probe(tmp_path/out)
    assert (info.fps, info.size, info.has_sound)==(FPS, (SIZE,SIZE), name=='sound.mp4')
    assert abs(seconds(tmp_path/out, 'video')-T/FPS)<1e-6
    if info.has_sound: assert abs(seconds(tmp_path/out, 'audio')-seconds(files/name, 'audio'))<.06
    assert [p.name for p in tmp_path.iterdir()]==[out]

def test_a_video_in_memory_is_the_file(model, other, files, tmp_path):
    made = run(model, other, files/'sound.mp4')
    assert (len(made), made.fps)==(T, FPS) and made.sound
    strip = run(model, other, files/'sound.mp4', tmp_path/'o.png')
    assert torch.equal(Video.open(strip).frames, made.frames)
    frames = run(model, other, files/'sound.mp4', f'{tmp_path}/o/')
    assert torch.equal(Video.open(frames).frames, made.frames) and len([*frames.iterdir()])==T

def test_the_batch_does_not_matter(model, other, clip):
    whole = run(model, other, clip, batch=T)
    for n in (1,5): assert apart(run(model, other, clip, batch=n), whole).max()<=1
    fast = ready(model, 'cpu')
    kp = find_keypoints(fast, clip)
    for n in (1,5):
        parts = [find_keypoints(fast, c) for c in clip.split(n)]
        assert (torch.cat([p.xy for p in parts])-kp.xy).abs().max()<1e-4 and (torch.cat([p.jac for p in parts])-kp.jac).abs().max()<1e-4

def test_the_model_that_was_given_stays_as_it_was(model, other, clip):
    before = {k: v.clone() for k,v in model.state_dict().items()}
    model.train(); a = run(model, other, clip); assert model.training
    model.eval(); assert apart(a, run(model, other, clip)).max()==0
    assert all(torch.equal(v, before[k]) for k,v in model.state_dict().items())
    assert not torch.is_inference_mode_enabled() and torch.is_grad_enabled()

def test_a_stream_leaves_its_caller_in_peace(model, other, clip):
    "Between two batches neither inference mode nor autocast is on."
    stream = animate_stream(ready(model, 'cpu'), other[None], [*(clip*255).byte().permute(0,2,3,1).numpy()], batch=5, precision='bf16')
    next(stream)
    assert not torch.is_inference_mode_enabled() and not torch.is_autocast_enabled('cpu')

def test_bf16_is_close(model, other, clip):
    assert 0<apart(run(model, other, clip, precision='bf16'), run(model, other, clip)).mean()<6

def test_the_public_name_is_the_function(tiny_model_file, other, clip):
    assert len(animlib.animate(str(tiny_model_file), other, clip, device='cpu', progress=False))==T

# ---- whose motion ----
def test_relative_motion_starts_with_the_source(model, other, clip):
    "In its first frame nothing has moved: the model's own reconstruction of the source."
    first = run(model, other, clip[:2], scale=1.).frames[0].int()
    with torch.no_grad(): want = model(other[None], other[None]).frame[0]
    assert (first-(want*255).round().permute(1,2,0).int()).abs().max()<=2

def test_the_best_frame_is_found(model, clip, capsys):
    "The source is the driving's own frame 7: from there relative motion is absolute motion; from the first frame it is not."
    absolute, best, first = (run(model, clip[7], clip, **how) for how in (dict(mode='absolute'), dict(best_frame=True), {}))
    assert apart(absolute, best).max()<=1 and apart(absolute, first).mean()>3*apart(absolute, best).mean()
    notes = capsys.readouterr().err
    assert notes.count('\n')==1 and 'frame 7 of the driving' in notes and '--best-frame' in notes

def test_the_scale_is_taken_over(model, other, clip):
    still, half, full = (run(model, other, clip, scale=s) for s in (1e-6, .5, 1.))
    moved = lambda v: apart(v, Video(still.frames)).mean()
    assert moved(half)<moved(full)
    for bad in (0, -1, 'big', None):
        with pytest.raises(InputError, match='scale'): run(model, other, clip, scale=bad)

# ---- when it goes wrong ----
def test_an_old_result_survives_a_failure(model, other, files, tmp_path):
    "A driving video that breaks off in the middle is noticed late."
    long = toy.clips('body', 1, 60, 64, 3).video[0]
    Video.from_tensor(long, 25).save(tmp_path/'d.mkv')
    data = (tmp_path/'d.mkv').read_bytes(); (tmp_path/'d.mkv').write_bytes(data[:len(data)//2])
    (tmp_path/'o.mp4').write_bytes(b'old')
    with pytest.raises(InputError): run(model, other, tmp_path/'d.mkv', tmp_path/'o.mp4')
    assert (tmp_path/'o.mp4').read_bytes()==b'old' and sorted(p.name for p in tmp_path.iterdir())==['d.mkv','o.mp4']
    run(model, other, files/'film.mp4', tmp_path/'o.mp4')
    assert probe(tmp_path/'o.mp4').frames==T

def test_an_error_in_the_middle_leaves_nothing(model, other, clip, tmp_path, monkeypatch):
    import sys
    module = sys.modules['animlib.animate']
    paint, calls = module.animate_frames, []
    def fails(*args):
        calls.append(1)
        if len(calls)==3: raise KeyboardInterrupt
        return paint(*args)
    monkeypatch.setattr(module, 'animate_frames', fails)
    for out in ('o.mp4','o.gif','o/'):
        calls.clear()
        with pytest.raises(KeyboardInterrupt): run(model, other, clip, f'{tmp_path}/{out}', batch=4)
    assert not [*tmp_path.iterdir()]

@pytest.mark.parametrize('how,why', [(dict(mode='realtive'), "did you mean 'relative'"), (dict(mode='disentangled'), 'whose shape, whose pose'), (dict(device='tpu'), 'device: expected auto'),
    (dict(precision='fp8'), 'precision'), (dict(batch=0), 'batch'), (dict(size=7), 'nearest: 8'), (dict(size=(32,30)), 'multiples of 8'), (dict(fit='squeeze'), 'fit'), (dict(out='x.doc'), 'a name ending in')])
def test_options_that_make_no_sense(model, other, clip, how, why, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as e: run(model, other, clip, **how)
    assert why in str(e.value) and '\n' not in str(e.value) and not [*tmp_path.iterdir()]

def test_drivings_that_make_no_sense(model, other, clip, files):
    for bad,why in ((clip[:1], 'at least 2 frames'), (clip[0], 't c h w'), (clip.tolist(), 'found list'), (files/'nowhere.mp4', 'nothing'), (Video.from_tensor(clip[:1]), 'at least 2 frames')):
        with pytest.raises(InputError, match=why): run(model, other, bad)
    with pytest.raises(InputError, match='the driving video'): run(model, other, files/'film.mp4', files/'film.mp4')
    with pytest.raises(InputError, match='empty list'): run(model, [], clip)

# ---- memory ----
TIDY = dict(MALLOC_ARENA_MAX='1', MALLOC_MMAP_THRESHOLD_='65536', MALLOC_TRIM_THRESHOLD_='131072') # glibc gives back at once what is freed: else up to 60 MiB of the reading are its leftovers
MEMORY = """
import json, os, sys
import torch; torch.set_num_threads(1)
from animlib.checkpoints import load
import animlib.animate; module = sys.modules['animlib.animate']
model, folder, write, batches, detect = load(sys.argv[1]), sys.argv[2], module.VideoWriter.write, module.batches, module.find_keypoints
module.find_keypoints = lambda model, frames, precision: detect(model, frames[...,::4,::4], precision) # large frames, little work
module.animate_frames = lambda model, prepared, kp, precision: prepared.source.expand(len(kp), -1, -1, -1).contiguous()
seen = []
def watched(self, frames):
    with open('/proc/self/statm') as f: seen.append(int(f.read().split()[1])*os.sysconf('SC_PAGE_SIZE')/2**20)
    write(self, frames)
module.VideoWriter.write = watched
def peak(name):
    seen.clear(); module.animate(model, f'{folder}/source.png', f'{folder}/{name}.mp4', f'{folder}/out.mp4', device='cpu', size=128, progress=False)
    return max(seen)
out = [peak('short'), peak('short'), peak('long')]
module.batches = lambda *args: iter(list(batches(*args)))
print(json.dumps(out+[peak('long')]))
"""
@pytest.mark.skipif(not os.path.exists('/proc/self/statm'), reason='reads the memory of a process as Linux tells it')
def test_memory_does_not_grow_with_length(tiny_model_file, tmp_path):
    "Ten times as many frames, which fill 94 MiB when they are read at once."
    frames = Video.from_tensor(toy.clips('body', 1, 24, 128, 5).video[0]).frames
    Image.fromarray(frames[0].numpy()).save(tmp_path/'source.png')
    for name,n in (('short.mp4',50), ('long.mp4',500)):
        with VideoWriter(tmp_path/name, 25) as w:
            for i in range(n): w.write(frames[i%24])
    out = subprocess.run([sys.executable, '-c', MEMORY, str(tiny_model_file), str(tmp_path)], capture_output=True, text=True, timeout=300, env=os.environ|TIDY)
    assert out.returncode==0, out.stderr
    _,short,long,at_once = json.loads(out.stdout)
    assert probe(tmp_path/'out.mp4').frames==500
    assert long-short<25 and at_once-short>70, out.stdout

@pytest.mark.cuda
def test_cuda_gives_the_numbers_of_the_cpu(model, other, clip):
    here = run(model, other, clip)
    assert apart(run(model, other, clip, device='cuda'), here).mean()<1 and apart(run(model, other, clip, device='auto', precision='bf16'), here).mean()<6

# ---- MRAA and TPSMM: three modes, a background that stands still, splines that say when they cannot bend ----
@pytest.mark.parametrize('name', ['mraa-body','tpsmm-body'])
def test_three_modes_by_file(name, tmp_path):
    films = toy.clips('body', 2, 6, 64, toy.split_seed('test')).video
    made = {m: animate(name, films[0,0], films[1], mode=m, progress=False).tensor() for m in ('absolute','relative','disentangled')}
    assert all(v.shape==(6,3,64,64) for v in made.values()) and (made['absolute']-made['disentangled']).abs().max()>.05
    assert (made['relative'][0]-films[0,0]).abs().mean()<.04 # relative motion begins where the source stands
    animate(name, films[0,0], films[1], tmp_path/'a.mp4', mode='disentangled', progress=False); assert (tmp_path/'a.mp4').stat().st_size>500

def test_a_model_without_the_network_says_so_and_writes_nothing(tmp_path):
    film = torch.rand(3,3,64,64)
    with pytest.raises(InputError, match='train one on it'): animate('fomm-body', film[0], film, tmp_path/'a.mp4', mode='disentangled', progress=False)
    assert not any(tmp_path.iterdir())

def test_splines_without_area_are_named(capsys):
    m = load('tpsmm-body'); m.detector.head.weight.data.zero_(); m.detector.head.bias.data.zero_()
    film = torch.rand(4,3,64,64); out = animate(m, film[0], film, mode='absolute', progress=False)
    assert out.tensor().isfinite().all() and 'without bending' in capsys.readouterr().err
