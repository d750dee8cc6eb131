"""How the experts of the demo are trained; see ``pretrain.py``."""
import time
from pathlib import Path
from typing import Callable, Dict, NamedTuple, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.config import Config
from torch import Tensor, nn

import shapes
import sounds
from cast_mmaction.atomic_write import atomic_write
from cast_mmaction.checkpoints import CheckpointError, read_checkpoint
from cast_mmaction.engine.schedule import WarmupCosineLR
from mmaction.registry import MODELS

LEARNING_RATE = 3e-3
WARMUP = 50  # steps
REPORT = 100  # steps


class Task(NamedTuple):
    """What an expert learns.

    Attributes:
        stream: Number of its stream of random numbers; 0 to 2 are the splits
            of the verb-noun set.
        draw: Gives a clip, its label and where in it the label is to be seen.
        names: The classes.
        batch: Clips a step.
        steps: Length of the training.
        config: Where the expert's config is.
        options: Changes to it.
    """
    stream: int
    draw: Callable
    names: Tuple[str, ...]
    batch: int
    steps: int
    config: str = 'configs/cast_demo.py'
    options: Dict = {}


TASKS = dict(
    spatial=Task(
        3,
        shapes.draw_still,
        shapes.STILLS,
        64,
        700,
        options=dict(num_frames=1, frame_stride=1)),
    temporal=Task(4, shapes.draw_motion, shapes.ALL_MOTIONS, 32, 700),
    audio=Task(5, sounds.draw_sound, sounds.SOUNDS, 64, 300,
               'configs/demo/ca2st_demo.py'))


class Pretraining(nn.Module):
    """An expert with a classifier of clips and one of tokens.

    Args:
        task: What to learn.
        expert: Config of the expert.
        preprocessor: Config of the data preprocessor.
    """

    def __init__(self, task: Task, expert: dict, preprocessor: dict) -> None:
        super().__init__()
        self.expert = MODELS.build(
            dict(expert, pretrained=None, **task.options))
        self.preprocessor = MODELS.build(preprocessor)
        self.nothing = len(task.names)
        self.fc_clip = nn.Linear(self.expert.embed_dims, self.nothing)
        self.fc_token = nn.Linear(self.expert.embed_dims, self.nothing + 1)
        weight = self.expert.embedding.patch_embed.projection.weight.data
        if weight.shape[2] == 2:
            see_change(weight)

    def forward(self, clips: Tensor, labels: Tensor,
                masks: Tensor) -> Tuple[Tensor, Tensor]:
        """Loss and accuracy.

        Args:
            clips: uint8, ``(B, 3, F, H, W)``.
            labels: ``(B, )``.
            masks: Where a label is to be seen, ``(B, F, H, W)``.
        """
        x = self.expert.embed(self._normalise(clips))
        for block in self.expert.blocks:
            x = block(x)
        scores = self.fc_clip(self.expert.read_out(x))
        patches = x[:, :, self.expert.spec.num_prefix_tokens:]
        token_scores = self.fc_token(self.expert.norm(patches))
        loss = F.cross_entropy(scores, labels)
        loss = loss + self._token_loss(token_scores, labels, masks)
        return loss, (scores.argmax(-1) == labels).float().mean()

    def _normalise(self, clips: Tensor) -> Tensor:
        data = dict(inputs=list(clips[:, None]), data_samples=None)
        return self.preprocessor(data)['inputs'].flatten(0, 1)

    def _token_loss(self, scores: Tensor, labels: Tensor,
                    masks: Tensor) -> Tensor:
        """Tokens that show something count as much as those that do not; the
        few that show a little of it are left out."""
        share = self._shares(masks.float())
        targets = torch.where(share > 0.25, labels[:, None, None],
                              self.nothing)
        losses = F.cross_entropy(
            scores.movedim(-1, 1), targets, reduction='none')
        return losses[share > 0.25].mean() + losses[share < 0.02].mean()


    def _shares(self, masks: Tensor) -> Tensor:
        """``(B, F, H, W)`` to the share of every token, ``(B, T, N)``."""
        window = self.expert.embedding.patch_embed.projection.kernel_size
        return F.avg_pool3d(masks[:, None], window)[:, 0].flatten(2)


class AudioPretraining(Pretraining):
    """The same for spectrograms ``(B, 1, frames, bins)``; masks tell when a
    label is to be heard, ``(B, frames)``."""

    def _normalise(self, spectrograms: Tensor) -> Tensor:
        data = dict(
            inputs=dict(audio=list(spectrograms[:, None])), data_samples=None)
        return self.preprocessor(data)['inputs'].flatten(0, 1)

    def _shares(self, masks: Tensor) -> Tensor:
        bands, columns = self.expert.spec.grid
        shares = F.adaptive_avg_pool1d(masks, columns)
        return shares.repeat(1, bands)[:, None]  # a band after the other


def see_change(weight: Tensor) -> None:
    """Let an embedding of pairs of frames ``(D, 3, 2, p, p)`` begin as their
    difference (first half of D) and their mean (second half), loudly."""
    half = len(weight) // 2
    weight[:, :, 1] *= 2
    weight[:half, :, 0] = -weight[:half, :, 1]
    weight[half:, :, 0] = weight[half:, :, 1]


def draw_batch(task: Task, seed: int,
               step: int) -> Tuple[Tensor, Tensor, Tensor]:
    """The batch of a step: clips, labels and masks."""
    clips, labels, masks = zip(*(task.draw(
        np.random.default_rng([seed, task.stream, step, i]))
                                 for i in range(task.batch)))
    clips = torch.from_numpy(np.stack(clips))
    if clips.dim() == 5:  # frames, as they are shown
        clips = clips.permute(0, 4, 1, 2, 3)
    return clips, torch.tensor(labels), torch.from_numpy(np.stack(masks))


def train(name: str, out: Path, cfg: Config, seed: int, steps: int) -> None:
    """Train an expert and save its state dict.

    Args:
        name: A key of ``TASKS``.
        out: The file to write; beside it, while training, the state from
            which an interrupted run goes on.
        cfg: The config of the model that will use the expert.
        seed: Of the weights and the data.
        steps: Length of the training.
    """
    task = TASKS[name]
    torch.manual_seed(seed)
    backbone = cfg.model.backbone
    kind = AudioPretraining if name == 'audio' else Pretraining
    model = kind(task,
                 backbone.get('experts', backbone)[name],
                 cfg.model.data_preprocessor)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=LEARNING_RATE, weight_decay=0.05)
    schedule = WarmupCosineLR(
        optimizer, warmup=WARMUP, end=steps, by_epoch=False)
    parts = dict(model=model, optimizer=optimizer, schedule=schedule)
    state_file = out.with_name(f'{out.stem}_state.pth')
    first = 0
    if state_file.exists():
        state = read_checkpoint(state_file)
        if not isinstance(state, dict) or set(state) != {*parts, 'step'}:
            raise CheckpointError(f'{state_file}: holds no state of this '
                                  'training; remove it to start anew')
        for key, part in parts.items():
            part.load_state_dict(state[key])
        first = state['step']

    accuracies, began = [], time.monotonic()
    for step in range(first, steps):
        loss, accuracy = model(*draw_batch(task, seed, step))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        accuracies.append(accuracy.item())
        if (step + 1) % REPORT == 0 or step + 1 == steps:
            print(f'{name} expert: step {step + 1}/{steps}, accuracy '
                  f'{100 * np.mean(accuracies):.0f} % (chance '
                  f'{100 / len(task.names):.0f} %), '
                  f'{time.monotonic() - began:.0f} s', flush=True)
            accuracies.clear()
            state = {key: part.state_dict() for key, part in parts.items()}
            with atomic_write(state_file) as path:
                torch.save(dict(state, step=step + 1), path)
    with atomic_write(out) as path:
        torch.save(model.expert.state_dict(), path)
    state_file.unlink()
