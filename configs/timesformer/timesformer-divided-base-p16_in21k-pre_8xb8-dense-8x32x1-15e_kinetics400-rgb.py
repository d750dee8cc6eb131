# Source: MMAction2's reproduction of TimeSformer (arXiv 2102.05095), its own
#   schedule and sampling.
# Expected: 77.69 top-1 by MMAction2 (published; not measured here).
# Views: test 1 clip (8 frames, every 32nd) x 3 crops of 224.
# Weights: ViT-B/16 as for the authors' recipe; see the README. Inputs of
#   mean 0.5 and deviation 0.5.
_base_ = [
    '../_base_/models/timesformer_base_p16.py',
    '../_base_/datasets/kinetics400_8x32_1x3_exact.py',
    '../_base_/schedules/sgd_15e_mmaction.py',
    '../_base_/default_runtime.py',
]

model = dict(
    data_preprocessor=dict(
        mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5]))

# 8 GPUs x 8 clips = 64 clips an optimizer step.
train_dataloader = dict(batch_size=8)
