# CA2ST at the size of two CPU cores, on the generated verb-noun set with
#   sound, tools/demo/sounds.py. It shows that the exchange with sound works
#   and learns, and nothing about real video.
# Data and experts: `bash tools/evidence/sound.sh` writes and trains them.
_base_ = './cast_demo.py'

audio = dict(
    type='ASTExpert',
    arch={{_base_.arch}},
    num_mel_bins=32,
    num_frames=96,
    patch_size=8,
    stride=8,
    pretrained='work_dirs/demo/experts/audio.pth')
inputs = ('imgs', 'audio', 'has_audio')
preprocessor = dict(
    type='AudioVisualDataPreprocessor',
    # Of the set's own spectrograms.
    audio_mean=-4.1,
    audio_std=3.9,
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    format_shape='NCTHW')
head = dict(
    in_channels=64, num_verbs=8, num_nouns=16, average_clips='prob')

model = dict(
    _delete_=True,
    type='MMRecognizer3D',
    data_preprocessor=preprocessor,
    backbone=dict(
        type='CAST',
        experts=dict(
            spatial={{_base_.spatial}},
            temporal={{_base_.temporal}},
            audio=audio),
        exchanges=[
            dict(type='BCAST', between=('spatial', 'temporal')),
            dict(type='BCAST', between=('spatial', 'audio')),
            dict(type='BCAST', between=('temporal', 'audio'))
        ]),
    cls_head=dict(type='CA2STVerbNounHead', **head))

sound = dict(
    type='AudioDecode', num_frames=96, num_mel_bins=32, test_mode=True)
pack = dict(type='PackVerbNounInputs', collect_keys=inputs)
pipeline = _base_.pipeline
pipeline.insert(2, sound)
pipeline[-1] = pack
test_pipeline = _base_.test_pipeline
test_pipeline.insert(2, sound)
test_pipeline[-1] = pack

dataset = dict(data_root='data/demo_sound', num_nouns=16)
train_dataloader = dict(dataset=dict(pipeline=pipeline, **dataset))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline, **dataset))
