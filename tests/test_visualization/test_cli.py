"""`visualize.py` on a small model and a made video."""
import re

import av
import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.image import imread
from matplotlib.text import Text

from cast_mmaction.visualization.overlay import (Row, blend, contact_sheet,
                                                 step_pictures)
from tests.test_prediction.test_predict import recognizer, write_video
from tests.toy import load_tool

main = load_tool('visualize').main


@pytest.fixture
def look(tmp_path, capsys):
    """The command line; its exit code, if any."""
    model = recognizer(True)
    torch.save(
        dict(state_dict=model.state_dict(),
             meta=dict(dataset_meta=model.dataset_meta)),
        tmp_path / 'model.pth')
    model.cfg.dump(str(tmp_path / 'config.py'))
    video = write_video(tmp_path / 'a.mp4')

    def call(*args):
        try:
            main([str(args[0]) if args and args[0] else str(video), '--config',
                  str(tmp_path / 'config.py'), '--checkpoint',
                  str(tmp_path / 'model.pth'), '--device', 'cpu', '--out',
                  str(tmp_path / 'out'), *map(str, args[1:])])
        except SystemExit as stop:
            return stop.code
        return capsys.readouterr().out

    return call


def test_every_view(look, tmp_path):
    said = look('', '--layers', 0, '--fps', 3)
    names = {path.name for path in (tmp_path / 'out').iterdir()}
    assert names == {f'{view}.{kind}' for kind in ('png', 'mp4')
                     for view in ('t2s', 's2t', 'rollout', 'gradcam')}
    assert said.startswith('a.mp4: ')
    for name in names:
        path = tmp_path / 'out' / name
        if name.endswith('.png'):
            assert imread(path).std() > .05  # something is drawn
        else:
            with av.open(str(path)) as video:
                assert sum(1 for _ in video.decode(video=0)) == 2


def test_the_own_attention_of_an_expert(look, tmp_path):
    look('', '--show', 'exchange', '--directions', 'spatial', '--patch', 1, 0,
         '--step', 1, '--head', 1)
    assert (tmp_path / 'out/spatial.png').is_file()


@pytest.mark.parametrize('args, message', [
    (['absent.mp4'], 'absent.mp4'),
    (['', '--patch', 2, 0], '--patch 2 0: the .* stream has 2 rows'),
    (['', '--step', 9], '--step 9: the .* stream has 2 steps'),
    (['', '--layers', 4], 'there is no layer 4'),
    (['', '--show', 'gradcam', '--class', 'verb=eat'],
     "no verb is called 'eat'"),
])
def test_bad_arguments(look, tmp_path, args, message):
    code = look(*args)
    assert str(code).startswith('error: ') and re.search(message, code)
    assert not (tmp_path / 'out').exists()


def test_heat_covers_whole_cells():
    picture = np.full((8, 8, 3), 100, np.uint8)
    heat = np.zeros((2, 2))
    heat[1, 0] = 1
    drawn = blend(picture, heat)
    hot = (drawn != 100).any(-1)
    assert hot[4:, :4].all() and not hot[:4].any() and not hot[:, 4:].any()


def test_a_step_shows_its_last_frame():
    frames = torch.arange(8).view(1, 8, 1, 1).expand(3, 8, 2, 2).byte()
    assert [x[0, 0, 0] for x in step_pictures(frames, 4)] == [1, 3, 5, 7]


def sound_row(heat, **options):
    picture = np.arange(32 * 96 * 3).reshape(32, 96, 3) % 251
    return Row('a2s, layer 3: patch (2, 2) of step 2 asks (time to the right, '
               'pitch upwards)', heat, [picture.astype(np.uint8)], **options)


def test_a_spectrogram_has_the_width_and_its_title_room():
    row = sound_row(np.random.RandomState(0).rand(1, 4, 12), low_first=True)
    figure = contact_sheet([row], 'test_000003.mp4: tremble metal diamond')
    FigureCanvasAgg(figure).draw()
    words = [x for x in figure.findobj(Text) if x.get_text()]
    assert len(words) == 2
    for word in words:
        box = word.get_window_extent()
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1
    ax, = figure.findobj(Axes)
    assert ax.get_window_extent().width > figure.bbox.width / 2
    assert ax.images[0].origin == 'lower'


def test_an_even_map_covers_nothing():
    for heat, covered in ((np.full((1, 4, 12), .3), False),
                          (np.eye(4, 12)[None], True)):
        row = sound_row(heat)
        ax, = contact_sheet([row]).findobj(Axes)
        bare = blend(row.pictures[0], np.zeros((4, 12)))
        assert (ax.images[0].get_array() != bare).any() == covered
