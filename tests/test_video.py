"Videos as users bring them: every format there and back, broken files, the cache, the writer."
import json, shutil, stat, struct
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
import av, numpy as np, pytest, torch
from PIL import Image
from animlib.core import InputError
from animlib.data.video import (Clips, Video, VideoWriter, augment, check_folder, open_folder, probe, read_frames, read_image, read_pairs, sniff)

def disc(n, h=48, w=48, step=1.):
    "A red disc goes right over a green-blue ramp: uint8 `[n,h,w,3]`."
    y,x = np.mgrid[:h,:w]
    out = np.zeros((n,h,w,3), np.uint8)
    out[...,1],out[...,2] = 40+100*y/h, 60+120*x/w
    for t in range(n): out[t, (y-h/2)**2 + (x-w/4-t*step)**2 < (h/6)**2] = 230,40,40
    return out
def place(frames): return np.array([np.nonzero(f[...,0].astype(int)-f[...,1] > 80)[1].mean() for f in frames])
def tone(path, seconds, codec='aac', rate=48000):
    with av.open(str(path), 'w') as out:
        track = out.add_stream(codec, rate=rate)
        frame = av.AudioFrame.from_ndarray((.3*np.sin(np.arange(int(seconds*rate))/17)).astype(np.float32)[None], format='fltp', layout='mono')
        frame.sample_rate,frame.pts,frame.time_base = rate,0,Fraction(1,rate)
        out.mux(track.encode(frame)); out.mux(track.encode(None))
    return path
def seconds_of_sound(path):
    with av.open(str(path)) as f: return sum(a.samples/a.sample_rate for a in f.decode(audio=0))
def strip(path, frames): path.parent.mkdir(parents=True, exist_ok=True); Image.fromarray(np.concatenate(list(frames), 1)).save(path); return path
def film(path, n=24, fps=25, sound=None, **kw):
    with VideoWriter(path, fps, sound) as w: w.write(disc(n, **kw))
    return Path(path)
def message(f, *args, **kw):
    with pytest.raises(InputError) as e: f(*args, **kw)
    assert '\n' not in str(e.value) and '; ' in str(e.value), e.value
    return str(e.value)
def drain(path): return list(read_frames(path))

@pytest.mark.parametrize('fps', [10, 30, 30000/1001])
@pytest.mark.parametrize('name', ['a.mp4','a.mov','a.mkv','a.webm','a.gif','a.webp'])
def test_frames_speed_and_duration_survive(tmp_path, name, fps):
    p = film(tmp_path/name, fps=fps); got = drain(p)
    assert len(got)==24 and got[0].dtype==np.uint8 and np.abs(place(got)-place(disc(24))).max()<.8
    assert abs(24/probe(p).fps - 24/fps) < 1/fps
    if name[2:] in ('mp4','mov'): assert abs(probe(p).fps-fps)<1e-6 and probe(p).frames==24

@pytest.mark.parametrize('name', ['a.mp4','a.mov','a.mkv','a.webm'])
@pytest.mark.parametrize('length', [.5, 3])
def test_sound_goes_along_and_ends_with_the_pictures(tmp_path, name, length):
    p = film(tmp_path/name, n=25, sound=tone(tmp_path/'t.m4a', length))
    assert probe(p).has_sound and len(drain(p))==25
    heard = seconds_of_sound(p); assert min(length,1)-.06 <= heard <= 1.03, heard

def test_sound_of_a_driving_video_is_copied_and_transcoded_where_it_must_be(tmp_path):
    drv = Video.open(film(tmp_path/'drv.mp4', n=25, sound=tone(tmp_path/'t.m4a', 2)))
    for name,codec in (('b.mp4','aac'),('b.webm','opus')):
        drv.save(tmp_path/name)
        with av.open(str(tmp_path/name)) as f: assert f.streams.audio[0].codec_context.name.removeprefix('lib')==codec

@pytest.mark.parametrize('driving', ['silent.mp4','anim.gif','strip.png','frames/'])
def test_a_driving_video_without_sound_gives_a_silent_one(tmp_path, driving):
    film(f'{tmp_path}/{driving}', n=4)
    assert not probe(film(tmp_path/'out.mp4', n=4, sound=tmp_path/driving)).has_sound

@pytest.mark.parametrize('h,w', [(33,48),(48,33),(1,1),(35,37)])
def test_odd_sizes_are_padded_by_one(tmp_path, h, w):
    p = tmp_path/'odd.mp4'
    with VideoWriter(p) as o: o.write(np.full((3,h,w,3), 90, np.uint8))
    assert probe(p).size==(h+h%2, w+w%2) and np.abs(drain(p)[0].astype(int)-90).max()<4

def test_frame_folder_in_natural_order_and_there_and_back(tmp_path):
    (tmp_path/'f').mkdir()
    for t,f in enumerate(disc(12)): Image.fromarray(f).save(tmp_path/'f'/f'frame{t}.png')
    (tmp_path/'f'/'._frame3.png').write_bytes(b'junk'); (tmp_path/'f'/'notes.txt').write_text('x')
    got = drain(tmp_path/'f'); assert len(got)==12 and (np.stack(got)==disc(12)).all()
    with VideoWriter(f'{tmp_path}/g/') as w: w.write(got)
    with VideoWriter(f'{tmp_path}/g/') as w: w.write(got[:11])                      # again, shorter: nothing of the old one stays
    assert len(drain(tmp_path/'g'))==11

def test_a_folder_of_other_things_is_never_overwritten(tmp_path):
    (tmp_path/'photos').mkdir(); (tmp_path/'photos'/'me.png').write_bytes(b'x')
    message(VideoWriter, f'{tmp_path}/photos/'); assert (tmp_path/'photos'/'me.png').exists()

def test_strips(tmp_path):
    p = strip(tmp_path/'s.png', disc(7)); assert probe(p).kind=='strip' and probe(p).frames==7 and (np.stack(drain(p))==disc(7)).all()
    p = strip(tmp_path/'w.png', disc(5,48,64)); assert len(drain(p))==1 and len(list(read_frames(p, frame_width=64)))==5
    assert 'frame_width' in message(lambda: list(read_frames(p, frame_width=50)))

def test_pictures_of_every_mode(tmp_path):
    rgb = disc(1)[0]; grey = rgb[...,1]
    alpha = np.dstack([rgb, np.full((48,48), 7, np.uint8)])
    for name,a,want in (('grey.png',grey,np.stack([grey]*3,-1)), ('rgba.png',alpha,rgb), ('deep.png',grey.astype(np.uint16)*257,np.stack([grey]*3,-1))):
        Image.fromarray(a).save(tmp_path/name); assert (drain(tmp_path/name)[0]==want).all(), name
    Image.fromarray(rgb).convert('P').save(tmp_path/'p.png'); assert drain(tmp_path/'p.png')[0].shape==(48,48,3)
    assert read_image(tmp_path/'rgba.png', 32).shape==(3,32,32) and read_image(rgb[:,::-1]).shape==(3,48,48)
    assert read_image(film(tmp_path/'v.mp4', n=3)).shape==(3,48,48)                 # a video as source: its first frame
    assert '0 to 255' in message(read_image, rgb.astype(np.float32)*255/rgb.max())
    assert 'nan' in message(read_image, torch.full((3,4,4), float('nan')))
    message(read_image, np.zeros((4,4,3), np.int64)); message(read_image, torch.zeros(2,3,4,4)); message(read_image, rgb, 0)

@pytest.mark.parametrize('mark,turns', [((0,1,-1,0),3), ((-1,0,0,-1),2), ((0,-1,1,0),1)])
def test_a_telephone_held_upright(tmp_path, mark, turns):
    b = film(tmp_path/'a.mp4', n=3, w=64).read_bytes(); at = b.index(b'tkhd')+44
    a,c,d,e = (x*65536 for x in mark)
    (tmp_path/'r.mp4').write_bytes(b[:at] + struct.pack('>9i', a,c,0,d,e,0,0,0,1<<30) + b[at+36:])
    want = np.rot90(disc(1,w=64)[0], turns); got = drain(tmp_path/'r.mp4')[0]
    assert got.shape==want.shape==(*probe(tmp_path/'r.mp4').size,3) and np.abs(got.astype(int)-want).mean()<6

BAD = {'empty.mp4': (b'', 'empty file'), 'page.mp4': (b'<!DOCTYPE html><html>no</html>', 'HTML page'), 'note.mp4': (b'just words\n'*9, 'text file'),
       'lfs.png': (b'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n', 'git lfs pull'), 'noise.mp4': (bytes(range(256))*9, 'decoder'),
       'head.png': (b'\x89PNG\r\n\x1a\n'+b'\0'*40, ''), 'head.webm': (b'\x1aE\xdf\xa3', ''), 'head.gif': (b'GIF89a\x01\0\x01\0\0\0\0', '')}
@pytest.mark.parametrize('name', BAD)
def test_what_is_no_video_is_told_in_one_line(tmp_path, name):
    data,word = BAD[name]; (tmp_path/name).write_bytes(data)
    for f in (drain, probe, read_image, Video.open): assert word in (m := message(f, tmp_path/name)) and name in m
    assert 'nothing' in message(drain, tmp_path/'none.mp4') and 'without pictures' in message(drain, tone(tmp_path/'s.mp4', 1))

@pytest.mark.parametrize('name', ['a.mp4','a.mov','a.webm','a.mkv','a.gif','a.webp','a.png'])
def test_a_cut_file_is_never_a_shorter_video(tmp_path, name):
    b = film(tmp_path/name, n=12).read_bytes()
    for part in (.02,.3,.6,.9,.97):
        (tmp_path/f'cut{name}').write_bytes(b[:int(len(b)*part)]); message(drain, tmp_path/f'cut{name}')

def test_a_damaged_film(tmp_path):
    b = bytearray(film(tmp_path/'a.mp4', n=60).read_bytes()); a = len(b)*7//10
    b[a:a+len(b)//10] = bytes(len(b)//10); (tmp_path/'d.mp4').write_bytes(b)
    message(drain, tmp_path/'d.mp4')

def test_a_film_trimmed_by_an_edit_list_is_whole(tmp_path):
    film(tmp_path/'a.mp4', n=40)
    with av.open(str(tmp_path/'a.mp4')) as src, av.open(str(tmp_path/'e.mp4'), 'w') as out:
        track = src.streams.video[0]; to = out.add_stream_from_template(track)
        for p in src.demux(track):
            if p.dts is None: continue
            shift = round(1.2/p.time_base); p.pts -= shift; p.dts -= shift; p.stream = to; out.mux(p)
    assert len(drain(tmp_path/'e.mp4'))==10

def test_writer_leaves_all_or_nothing(tmp_path):
    old = film(tmp_path/'keep.mp4', n=3).read_bytes()
    for name in ('keep.mp4','new.mp4','new.gif','new.png','new/'):
        with pytest.raises(KeyboardInterrupt):
            with VideoWriter(f'{tmp_path}/{name}') as w: w.write(disc(3)); raise KeyboardInterrupt
        with pytest.raises(InputError):
            with VideoWriter(f'{tmp_path}/{name}') as w: pass
    assert [p.name for p in tmp_path.iterdir()]==['keep.mp4'] and (tmp_path/'keep.mp4').read_bytes()==old
    assert 'mp4' in message(VideoWriter, tmp_path/'a.wmv') and 'no ending' in message(VideoWriter, tmp_path/'a')
    message(VideoWriter, tmp_path/'a.mp4', 0); message(VideoWriter, tmp_path/'a.mp4', 25, tmp_path/'none.mp4')
    (tmp_path/'file').write_text('x'); message(VideoWriter(tmp_path/'file'/'a.mp4').__enter__)
    with VideoWriter(tmp_path/'sub'/'dir'/'a.mp4') as w:
        w.write(disc(2)); w.write(torch.from_numpy(disc(1)[0])); message(w.write, torch.zeros(3,48,48)); message(w.write, disc(1,32,32))
    assert len(drain(tmp_path/'sub'/'dir'/'a.mp4'))==3

def test_video_shows_itself(tmp_path):
    v = Video.from_tensor(torch.rand(5,3,33,32), fps=12); html = v._repr_html_()
    assert '<video' in html and 'base64' in html and len(v)==5 and '12 fps' in repr(v) and v.tensor().shape==(5,3,33,32)
    assert Video.open(v.save(tmp_path/'a.gif')).fps==pytest.approx(12, rel=.05)

def folder(root, **splits):
    for split,n in splits.items():
        for i in range(n): strip(root/split/f'{split}{i}.png', disc(3+i, step=2+i+(split=='test')/2))
    return root

def test_cache_is_reused_and_rebuilt_when_a_file_changes(tmp_path, monkeypatch):
    data = folder(tmp_path/'d', train=3, test=2); monkeypatch.setenv('ANIMLIB_CACHE', str(tmp_path/'c'))
    files = lambda: {p: p.stat().st_mtime_ns for p in (tmp_path/'c').rglob('frames.npy')}
    clips = open_folder(data, 'train'); first = files()
    assert clips.lengths.tolist()==[3,4,5] and clips.names==['train0.png','train1.png','train2.png'] and clips.size==(48,48)
    assert (clips.frames(2).numpy()==disc(5, step=4)).all() and clips.video(0).shape==(3,3,48,48) and clips.frames(1,[3,0]).shape[0]==2
    open_folder(data, 'train'); assert files()==first
    assert open_folder(data, 'train', size=32).size==(32,32) and len(files())==2
    strip(data/'train'/'train0.png', disc(6)); assert open_folder(data, 'train').lengths.tolist()==[6,4,5]
    assert len(files())==2 and not first.keys() & files().keys()                     # the old one is gone
    (data/'train'/'train1.png').unlink(); assert open_folder(data, 'train').lengths.tolist()==[6,5]
    assert len(open_folder(data))==4 and len(open_folder(data, 'test'))==2
    assert all(json.loads((p.parent/'index.json').read_text())['lengths'] for p in files()) and not list((tmp_path/'c').glob('.*'))

def test_data_may_be_read_only_and_clips_may_be_written_to(tmp_path):
    data = folder(tmp_path/'d', train=1)
    for p in (data/'train', data): p.chmod(stat.S_IRUSR | stat.S_IXUSR)
    before = sorted(data.rglob('*')), [p.stat().st_mtime_ns for p in sorted(data.rglob('*'))]
    clips = open_folder(data, 'train', cache=tmp_path/'c'); clips.array[0] = 0
    assert (sorted(data.rglob('*')), [p.stat().st_mtime_ns for p in sorted(data.rglob('*'))])==before
    assert open_folder(data, 'train', cache=tmp_path/'c').frames(0).float().mean()>10  # the cache did not change
    for p in (data, data/'train'): p.chmod(stat.S_IRWXU)

def test_a_failed_or_raced_decoding_leaves_a_good_cache(tmp_path):
    data = folder(tmp_path/'d', train=2); (data/'train'/'x.mp4').write_bytes(b'<html>')
    assert 'x.mp4' in message(open_folder, data, 'train', cache=tmp_path/'c') and not list((tmp_path/'c').iterdir())
    (data/'train'/'x.mp4').unlink()
    with ThreadPoolExecutor(4) as pool: all4 = list(pool.map(lambda _: open_folder(data, 'train', cache=tmp_path/'c'), range(4)))
    assert [len(c) for c in all4]==[2]*4 and len(list((tmp_path/'c').iterdir()))==1

def test_folders_that_do_not_fit(tmp_path):
    data = folder(tmp_path/'d', train=1); strip(data/'train'/'big.png', disc(3,64,64))
    assert 'size=' in message(open_folder, data, 'train', cache=tmp_path/'c')
    assert open_folder(data, 'train', size=32, cache=tmp_path/'c').size==(32,32)
    message(open_folder, tmp_path/'none'); message(open_folder, data, 'test'); message(open_folder, data, 'val')
    (tmp_path/'e').mkdir(); message(open_folder, tmp_path/'e'); message(check_folder, tmp_path/'e')

def test_a_folder_without_splits_is_split_the_same_way_everywhere(tmp_path):
    for i in range(11): film(f'{tmp_path}/d/clip{i}/', n=2)
    train,test = (open_folder(tmp_path/'d', s, cache=tmp_path/'c').names for s in ('train','test'))
    assert len(test)==2 and not set(train)&set(test) and len(train)==9 and train==sorted(train, key=lambda n: int(n[4:]))
    assert test==['clip3','clip10'] or test==[f'clip{i}' for i in sorted(int(n[4:]) for n in test)]

def test_pairs_and_augmentation(tmp_path):
    clips = Clips.from_tensor(torch.rand(3,6,3,16,16)); g = torch.Generator().manual_seed(0)
    s,d = clips.pairs(5, g); assert s.shape==d.shape==(5,3,16,16) and s.dtype==torch.float32
    again = clips.pairs(5, torch.Generator().manual_seed(0)); assert torch.equal(s, again[0]) and torch.equal(d, again[1])
    a,b = augment(s, s, g, reverse=False); assert torch.equal(a,b) and a.shape==s.shape and 0<=a.min() and a.max()<=1
    kept = augment(s, d, flip=False, reverse=False, jitter=0, hue=0); assert torch.equal(kept[0],s) and torch.equal(kept[1],d)
    one = clips.to('cpu'); assert len(one)==3 and torch.equal(one.array, clips.array)
    message(Clips, clips.array, [6,6]); message(Clips, clips.array, [6,6,6], ['a'])

def test_check_folder_names_every_problem(tmp_path):
    data = folder(tmp_path/'d', train=2, test=1); assert check_folder(data).ok
    shutil.copy(data/'train'/'train0.png', data/'test'/'leak.png'); shutil.copy(data/'train'/'train1.png', data/'train'/'test0.png')
    strip(data/'train'/'still.png', disc(4, step=0)); strip(data/'train'/'one.png', disc(1)); strip(data/'train'/'tiny.png', disc(4,16,16))
    (data/'train'/'bad.mp4').write_bytes(b'<html>'); film(data/'train'/'wide.mp4', n=6, fps=90, w=64); (data/'x.flv').write_bytes(b'1')
    text = '\n'.join(check_folder(data).lines())
    for w in ('leak.png: the same bytes as train/train0', 'test0: a name in both', 'still.png: nothing moves', 'one.png: only one frame', 'tiny.png: 16x16 pixels',
              'bad.mp4: expected', '64x48 is not square', 'sizes; give size=', 'frames a second', '.flv'): assert w in text, (w, text)
    assert not check_folder(data).ok
    assert any('no train/ and test/' in line for line in check_folder(data/'test').lines())

def test_pairs_csv(tmp_path):
    (tmp_path/'p.csv').write_text('distance,source,driving,frame\n1, a.mp4,b.mp4,0\n'); assert read_pairs(tmp_path/'p.csv')==[('a.mp4','b.mp4')]
    (tmp_path/'q.csv').write_text('source,driving\na,\n'); assert 'line 2' in message(read_pairs, tmp_path/'q.csv')
    (tmp_path/'r.csv').write_text('a,b\n1,2\n'); message(read_pairs, tmp_path/'r.csv'); message(read_pairs, tmp_path/'none.csv')

def test_sniff_leaves_binary_files_alone(tmp_path):
    (tmp_path/'w').write_bytes(struct.pack('<Q', 40)+b'{"x":{"dtype":"F32"}}'); assert sniff(tmp_path/'w') is None
    (tmp_path/'t').write_text('{"a": 1}'); assert sniff(tmp_path/'t')=='text file'
