import faulthandler
import json
import os
import shutil
import signal

import pytest

from cast_mmaction.preparation import checking, whole
from tests.decoders import DECODERS
from tests.faults.videos import write_video
from tests.toy import load_tool

tool = load_tool('data/check_videos')


@pytest.fixture
def root(tmp_path):
    """Two good videos, and one of each kind that is not."""
    folder = tmp_path / 'videos'
    (folder / 'a b').mkdir(parents=True)
    write_video(folder / 'P01_01_0.mp4', 'mpeg4', 'yuv420p', {})
    shutil.copy(folder / 'P01_01_0.mp4', folder / 'a b/P01_01_1.mp4')
    whole = (folder / 'P01_01_0.mp4').read_bytes()
    (folder / 'cut.mp4').write_bytes(whole[:len(whole) // 2])
    (tmp_path / 'list.txt').write_text(
        'P01_01_0.mp4 0\n\na b/P01_01_1.mp4 1\ncut.mp4 2\ngone.mp4 3\n')
    return tmp_path


def run(root, name='list.txt', *options):
    tool.main([
        str(root / name), '--videos',
        str(root / 'videos'), '--good',
        str(root / 'good'), '--bad',
        str(root / 'bad'), '--workers', '2', *options
    ])
    return (root / 'good').read_text(), (root / 'bad').read_text()


@pytest.mark.parametrize('decoder', DECODERS)
def test_a_list_is_parted(root, capsys, decoder):
    good, bad = run(root, 'list.txt', '--decoder', decoder)
    assert good == 'P01_01_0.mp4 0\na b/P01_01_1.mp4 1\n'
    cut, gone = bad.splitlines()
    assert cut.startswith('cut.mp4 2\t')
    assert gone == 'gone.mp4 3\tcannot be opened (No such file or directory)'
    assert '4 entries: 2 good' in capsys.readouterr().out


def test_videos_are_not_bad_for_want_of_a_reader(root, monkeypatch, capsys):
    monkeypatch.setattr('cast_mmaction.host.torchcodec_problem',
                        lambda: 'is not there')
    with pytest.raises(SystemExit):
        run(root, 'list.txt', '--decoder', 'torchcodec')
    assert '--decoder torchcodec: is not there' in capsys.readouterr().err


def test_a_scan_goes_on_where_it_was_ended(root, monkeypatch, capsys):
    expected = run(root)
    journal = root / 'good.pyav.journal'
    lines = journal.read_text().splitlines()
    assert len(lines) == 5 and lines[0] == ''
    # Ended in the middle of the last line.
    half = [*lines[:4], lines[4][:-4]]
    journal.write_text('\n'.join(half))
    last = json.loads(lines[4])[0]
    (root / 'good').unlink()
    (root / 'bad').unlink()
    read, contained = [], checking.contained

    def noting(function, paths, *args):
        read.extend(paths)
        return contained(function, paths, *args)

    monkeypatch.setattr(checking, 'contained', noting)
    assert run(root) == expected and read == [last]
    assert '3 of 4 videos are known' in capsys.readouterr().out
    # A file that was mended is read again, the others are not.
    read.clear()
    shutil.copy(root / 'videos/P01_01_0.mp4', root / 'videos/cut.mp4')
    good, bad = run(root)
    assert read == [str(root / 'videos/cut.mp4')]
    assert 'cut.mp4 2\n' in good and bad.startswith('gone.mp4')


def test_a_crash_costs_its_own_file_alone(root, monkeypatch):
    fault_of = checking.fault_of

    def crash(path, decoder):
        if path.endswith('_0.mp4'):
            faulthandler.disable()
            os.kill(os.getpid(), signal.SIGSEGV)
        return fault_of(path, decoder)

    monkeypatch.setattr(checking, 'fault_of', crash)
    good, bad = run(root)
    assert good == 'a b/P01_01_1.mp4 1\n'
    assert 'P01_01_0.mp4 0\tthe process crashed (SIGSEGV)\n' in bad


def test_lists_of_epic_kitchens(root):
    rows = ['narration_id,video_id,note', 'P01_01_0,x,"a\nb"', 'P01_01_9,y,c']
    (root / 'rows.csv').write_text('\n'.join(rows) + '\n')
    good, bad = run(root, 'rows.csv')
    assert good == '\n'.join(rows[:2]) + '\n'
    assert bad == ('P01_01_9,y,c\tcannot be opened (No such file or '
                   'directory)\n')
    (root / 'rows.csv').write_text('P01_01_1,0,0\nP01_02_0,1,1\n')
    good, bad = run(root, 'rows.csv', '--layout', 'a b/{narration_id}.mp4')
    assert good == 'P01_01_1,0,0\n' and bad.startswith('P01_02_0,1,1\t')


def test_long_videos_are_read_in_stretches(root, monkeypatch):
    monkeypatch.setattr(whole, 'STRETCH', 5)
    assert whole.fault_of(str(root / 'videos/P01_01_0.mp4'), 'pyav') == ''
    data = bytearray((root / 'videos/P01_01_0.mp4').read_bytes())
    place = data.index(b'mdat') + 4
    data[place:place + 400] = bytes(400)
    path = root / 'videos/damaged.mp4'
    path.write_bytes(data)
    assert whole.fault_of(str(path), 'pyav')


@pytest.mark.parametrize('text, message', [
    ('', 'the list is empty'),
    ('cut.mp4', 'line 1 .*path label'),
    ('\xe9', 'not UTF-8'),
])
def test_wrong_lists(root, text, message):
    (root / 'list.txt').write_bytes(text.encode('latin-1'))
    with pytest.raises(SystemExit, match=f'error: .*list.txt.*{message}'):
        run(root)


def test_a_layout_of_unknown_columns(root):
    (root / 'rows.csv').write_text('P01_01_1,0,0\n')
    with pytest.raises(SystemExit, match="--layout.*no column 'colour'"):
        run(root, 'rows.csv', '--layout', '{colour}.mp4')
