"Pose-Attentive reassembling where a chapter is too small a place: memory at the paper's size, sprites, folders, and what it refuses."
import subprocess, sys
from pathlib import Path
import numpy as np
import pytest, torch
from PIL import Image
from animlib import build
from animlib.checkpoints import load
from animlib.core import InputError
from animlib.cross import open_transfers, source_metrics, transfer_metrics
from animlib.data.identities import identity_groups, identity_of
from animlib.data.sprites import KINDS, SHEET, sprite_clips
from animlib.data.video import open_folder
from animlib.pipelines import toy_clips

EIGHT = """
import resource, torch
torch.set_num_threads(2)
from animlib import build
model, size = build('pose_attentive', 'paper', reconstruction='pyramid').eval(), 256
with torch.inference_mode():
    pre = model.prepare(torch.rand(1, 8, 3, size, size))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    kp = model.detector(torch.rand(2, 3, size, size))
    frames = model(pre, kp).frame
assert pre.small.shape==(1, 8, 128, 32, 32) and frames.shape==(2, 3, size, size)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/2**20)
"""
def test_eight_sources_of_256_px_fit_in_4_GB():
    out = subprocess.run([sys.executable, '-c', EIGHT], capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert out.returncode==0, out.stderr[-2000:]
    assert float(out.stdout)<4, out.stdout

@pytest.fixture(scope='module')
def sprites(tmp_path_factory):
    "A wardrobe of plain colours: six layers of each kind."
    root = tmp_path_factory.mktemp('lpc')
    for k,kind in enumerate(KINDS):
        for sex in ('male','female'):
            for i in range(6):
                sheet = np.zeros((*SHEET, 4), np.uint8); sheet[8*k:,8*k::2,:] = (40*i, 30*k, 99, 255)
                (root/kind/sex).mkdir(parents=True, exist_ok=True); Image.fromarray(sheet).save(root/kind/sex/f'{i}_{sex}.png')
    return root

def test_sprites_in_a_batch_are_different_characters(sprites):
    clips = sprite_clips(sprites, 'train', 3, 32)
    who = {identity_of(n) for n in clips.names}
    assert len(who)==3 and len(clips)==63
    sources, driving = identity_groups(clips, 6, 2, torch.Generator().manual_seed(0))
    assert sources.shape==(6,2,3,32,32) and driving.shape==(6,3,32,32)

def test_sprites_have_a_true_answer_and_a_model_trains_on_them(sprites, tmp_path):
    from animlib.cli import main
    run = tmp_path/'run'
    assert main(['train','pose_attentive','--data',f'lpc:{sprites}','--preset','toy','--steps','2','--clips','63','--device','cpu','--run-dir',str(run),'-o','batch=3','-o','preview_every=0'])==0
    m = transfer_metrics(load(run), open_transfers(f'lpc:{sprites}', 2, 32), 'absolute')
    assert m['l1']>0 and m['l1_copy']>0 and m['l1_driving']>0

def test_a_folder_of_one_clip_has_no_stranger(tmp_path):
    film = np.random.default_rng(0).integers(0, 255, (32, 32*5, 3), dtype=np.uint8)
    for split in ('train','test'): (tmp_path/split).mkdir(); Image.fromarray(film).save(tmp_path/split/f'{split}.png')
    with pytest.raises(InputError, match='2 frames|identities'): identity_groups(open_folder(tmp_path, 'train', cache=tmp_path/'c'), 4, 2)
    Image.fromarray(film[::-1]).save(tmp_path/'train'/'other.png')
    sources, driving = identity_groups(open_folder(tmp_path, 'train', cache=tmp_path/'c'), 4, 3)
    assert sources.shape==(4,3,3,32,32)

def test_options_that_cannot_be_are_refused():
    with pytest.raises(InputError, match='retrieval'): build('pose_attentive', 'toy', retrieval='nearby')
    with pytest.raises(InputError, match='judge_pseudo'): build('pose_attentive', 'toy', judge_pseudo=True, detach=True)

def test_the_shipped_model_beats_the_trivial_answers():
    "On other clips than those of its header; more sources help."
    model = load('pose_attentive-body')
    held = model.info['metrics']
    assert held['l1_ratio']<=.6 and held['absolute_l1_ratio']<1
    m = transfer_metrics(model, open_transfers('toy:body', 6, 64), 'absolute')
    assert m['l1']<min(m['l1_copy'], m['l1_driving'])
    by = source_metrics(model, toy_clips('body', 64, 'val', 6, 24, False), (1,4))
    assert by['sources_4']<by['sources_1']<1
