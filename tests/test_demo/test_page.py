"""The page in a real browser, and what it reads of strangers' files."""
import shutil
import subprocess

import pytest
import torch
from mmaction.registry import MODELS
from mmengine.registry import init_default_scope

from cast_mmaction.demo import reading
from cast_mmaction.demo.looking import Models
from cast_mmaction.demo.reading import Limits, Refused
from cast_mmaction.prediction.answers import Guess
from cast_mmaction.prediction.predictor import model_input_pipeline
from tests.test_prediction.test_predict import (NOUNS, VERBS, config_of,
                                                recognizer, write_video)
from tests.toy import load_tool

main = load_tool('demo_app').main

CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')
# Nothing in it may want the network, or a desktop.
ARGUMENTS = [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update',
    '--disable-sync'
]
SECONDS = 60e3  # milliseconds, on a busy machine


def models():
    """CAST and its spatial expert alone, with weights that tell patches
    apart."""
    cast = recognizer(True)
    cfg = config_of(True)
    cfg.model.backbone = cfg.model.backbone.spatial
    spatial = MODELS.build(cfg.model).eval()
    spatial.cfg, spatial.dataset_meta = cfg, cast.dataset_meta
    generator = torch.Generator().manual_seed(0)
    for model in (cast, spatial):
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=.3, generator=generator)
    return {'CAST': cast, 'spatial <alone>': spatial}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Videos, and files that are none."""
    reading.prepare()
    folder = tmp_path_factory.mktemp('sent')
    for seconds in (1, 4, 5):
        write_video(folder / f'{seconds}_s.mp4', seconds)
    whole = (folder / '5_s.mp4').read_bytes()
    (folder / 'torn.mp4').write_bytes(whole[:len(whole) // 2])
    (folder / 'list.mp4').write_text(
        f'ffconcat version 1.0\nfile {folder / "1_s.mp4"}\n')
    (folder / 'holiday.jpg').write_bytes(whole)
    return folder


def read(path, window=2., pipelines=None, **limits):
    pipelines = pipelines or [
        model_input_pipeline(config_of(True), single_view=True)]
    return reading.read(str(path), pipelines, window, Limits(**limits))


def test_windows(folder):
    clips = read(folder / '5_s.mp4')
    assert clips.length == 5 and clips.name == '5_s.mp4'
    assert [place.start for place in clips.windows] == [None, 0, 1, 2, 3]
    samples = clips.samples(0)
    assert [tuple(s['inputs'].shape) for s in samples] == [
        (1, 3, 4, 32, 32)] * 5
    assert samples[0]['inputs'].dtype == torch.uint8
    assert len(read(folder / '5_s.mp4', windows=3).windows) == 4
    assert len(read(folder / '1_s.mp4').windows) == 1


@pytest.mark.parametrize('name, limits, reason', [
    ('holiday.jpg', {}, 'holiday.jpg is no video: its name should end in .mp'),
    ('list.mp4', {}, 'list.mp4 is no video inside'),
    ('gone.mp4', {}, 'gone.mp4 did not arrive'),
    ('torn.mp4', {}, 'torn.mp4 cannot be opened'),
    ('5_s.mp4', dict(megabytes=.01), '5_s.mp4 has 0.* MB; this page takes up'),
    ('5_s.mp4', dict(length=4), '5_s.mp4 is 5 s long; this page takes up to'),
    ('5_s.mp4', dict(patience=1e-3), 'took more than 0.001 s'),
])
def test_refused(folder, name, limits, reason):
    with pytest.raises(Refused, match=reason) as error:
        read(folder / name, **limits)
    assert str(folder) not in str(error.value)  # nobody else's business


def test_too_much_memory(folder):
    steps = model_input_pipeline(config_of(True), single_view=True)
    place = [step['type'] for step in steps].index('ShortSideResize')
    steps[place] = dict(type='ShortSideResize', size=5000)
    with pytest.raises(Refused, match='more memory than this page gives'):
        read(folder / '1_s.mp4', pipelines=[steps], memory=2**26)


def test_a_fault_of_ours_is_logged(folder, caplog):
    with pytest.raises(Refused, match='finds the reason in the log'):
        read(folder / '1_s.mp4', pipelines=[[dict(type='NoSuchStep')]])
    assert 'NoSuchStep' in caplog.text


def test_deleted(tmp_path):
    path = write_video(tmp_path / 'upload/a.mp4', 1)
    reading.delete(str(path))
    assert not path.parent.exists()
    reading.delete(str(tmp_path / 'gone.mp4'))
    reading.delete(None)


@pytest.mark.parametrize('args, reason', [
    (['--model', 'a=x', '--model', 'a=y'], "two models are called 'a'"),
    (['--model', 'nowhere.safetensors'], 'there is no such file'),
    (['--examples', 'nowhere'], 'nowhere: there is no such file or folder'),
    ([], 'which model'),
])
def test_wrong_arguments(args, reason, tmp_path, monkeypatch):
    pytest.importorskip('gradio', reason='the page needs the extra "demo"')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr('cast_mmaction.demo.cli.prepare', lambda: None)
    with pytest.raises(SystemExit, match=f'error: .*{reason}'):
        main(args)


def test_names_cannot_be_markup():
    from cast_mmaction.demo import pieces
    html = pieces.bars([Guess('<script>alert(1)</script>', .5)], 'verb')
    assert '<script' not in html and '&lt;script' in html
    assert '<b>' not in pieces.note('<b>.mp4 is no video')


@pytest.fixture(scope='module')
def site(folder, tmp_path_factory):
    """Address of a page, and where it keeps uploads."""
    pytest.importorskip('gradio', reason='the page needs the extra "demo"')
    from cast_mmaction.demo.page import Page, Settings
    init_default_scope('mmaction')
    uploads = tmp_path_factory.mktemp('uploads')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('GRADIO_TEMP_DIR', str(uploads))
        patch.setenv('GRADIO_ANALYTICS_ENABLED', 'False')
        # It closes all log files of a process, also of others' trainings.
        patch.setattr('uvicorn.Config.configure_logging', lambda config: None)
        page = Page(
            Models(models()),
            Settings(1., Limits(megabytes=10), [str(folder / '1_s.mp4')]))
        _, url, _ = page.launch('127.0.0.1', None, prevent_thread_lock=True)
        yield url, uploads
        page.blocks.close()


@pytest.fixture(scope='module')
def browser():
    """Chromium, with a new empty profile."""
    playwright = pytest.importorskip(
        'playwright.sync_api', reason='a browser is driven by playwright')
    if CHROMIUM is None:
        pytest.skip('no chromium on this machine (apt install chromium)')
    # Ubuntu has a program of that name that only asks for a snap.
    if subprocess.run([CHROMIUM, '--version'], capture_output=True).returncode:
        pytest.skip(f'{CHROMIUM} does not start')
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=CHROMIUM, headless=True, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, site):
    """Open the page as another visitor; the addresses that it asks for."""
    contexts, asked = [], []

    def open_page():
        contexts.append(browser.new_context())
        page = contexts[-1].new_page()
        page.set_default_timeout(SECONDS)
        page.on('request', lambda request: asked.append(request.url))
        page.goto(site[0])
        page.wait_for_selector('#video input[type=file]', state='attached')
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert asked and not [
        url for url in asked
        if not url.startswith((site[0], 'data:', 'blob:'))
    ], 'the page asks for something elsewhere'


def send(page, path):
    page.set_input_files('#video input[type=file]', str(path))


def says(page, text):
    return page.wait_for_selector(f'#said >> text={text}')


@pytest.mark.slow
def test_a_visit(visit, site, folder):
    page = visit()
    says(page, 'No video yet')
    assert page.inner_text('text=is a toy')
    send(page, folder / '4_s.mp4')
    says(page, '4_s.mp4, 4.0 s, seen by CAST')
    names = page.locator('#top .cast-name').all_inner_texts()
    assert len(names) == 3 + 2 + 5
    assert set(names[:3]) == set(VERBS) and set(names[3:5]) == set(NOUNS)
    shares = page.locator('#top .cast-score').all_inner_texts()[:3]
    total = sum(float(share.split()[0]) for share in shares)
    assert total == pytest.approx(100, abs=1)
    assert page.locator('#side h3').all_inner_texts() == [
        'CAST', 'spatial <alone>']
    assert page.locator('#timeline img').is_visible()
    assert page.locator('#cams .cast-row').count() == 3

    # Both directions, another moment and another patch.
    title = page.locator('#overlay h4')
    title.get_by_text('t2s, layer 0: patch (1, 1) of step 1 asks').wait_for()
    frame = page.locator('#overlay .cast-asks')
    assert frame.is_visible() and frame.count() == 1
    moments = page.locator('#overlay figure')
    assert moments.count() == 2
    drawn = moments.nth(0).locator('img')
    assert drawn.evaluate('image => image.naturalWidth') == 32
    before = drawn.get_attribute('src')
    assert moments.nth(1).locator('.cast-asks').count() == 1
    page.locator('#moment input[type=number]').fill('0')
    page.locator('#moment input[type=number]').press('Enter')
    title.get_by_text('patch (1, 1) of step 0 asks').wait_for()
    assert moments.nth(0).locator('.cast-asks').count() == 1
    page.locator('#column input[type=number]').fill('0')
    page.locator('#column input[type=number]').press('Enter')
    title.get_by_text('patch (1, 0) of step 0 asks').wait_for()
    assert 'left:0.00%;top:50.00%' in frame.get_attribute('style')
    assert drawn.get_attribute('src') != before
    page.get_by_label('s2t').check()
    title.get_by_text('s2t, layer 0').wait_for()

    # Another model for the same video, whose file is gone.
    page.locator('#model input').click()
    page.get_by_role('option', name='spatial <alone>').click()
    says(page, 'seen by spatial <alone>')
    title.get_by_text('self, layer 0').wait_for()
    assert not list(site[1].rglob('*.mp4'))

    # A bad file takes the answer away, an example brings another.
    send(page, folder / 'list.mp4')
    says(page, 'list.mp4 is no video inside')
    assert page.locator('#said [role=alert]').count() == 1
    assert page.locator('#top').inner_text() == ''
    assert not page.locator('#overlay').is_visible()
    page.locator('#examples button:has(img)').first.click()
    says(page, '1_s.mp4, 1.0 s')
    assert not list(site[1].rglob('*.mp4'))


@pytest.mark.slow
def test_two_visitors_at_once(visit, folder):
    pages = [visit(), visit()]
    sent = [folder / '4_s.mp4', folder / '5_s.mp4']
    for page, path in zip(pages, sent):
        send(page, path)
    for page, path in zip(pages, sent):
        says(page, path.name)
        page.wait_for_selector('#overlay .cast-asks')
    for page, other in zip(pages, sent[::-1]):
        assert other.name not in page.content()
