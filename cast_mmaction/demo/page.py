"""The page itself. Whoever imports this has gradio."""
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import gradio as gr
from PIL import Image
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..datasets.annotations import VIDEO_SUFFIXES
from ..datasets.video import READERS
from ..prediction.drawing import timeline_figure
from ..visualization.overlay import step_pictures
from . import pieces
from .looking import Models, Seen
from .reading import Clips, Limits, Refused, delete, read

KEPT = 1800  # seconds that a visitor's clip stays in memory
ONE_AT_A_TIME = dict(concurrency_id='models', concurrency_limit=1,
                     api_visibility='private')
FRAMES = 8  # of the strip
THUMBNAIL = 160  # pixels of the short side
# What a direction means; others are an expert's own attention.
MEANING = dict(
    t2s='Temporal to spatial (T2S): the patch with the blue frame belongs to '
    'the spatial expert. It reads the same place at every moment of the '
    'temporal expert; the brighter, the more.',
    s2t='Spatial to temporal (S2T): the patch with the blue frame belongs to '
    'the temporal expert. It reads all places of the spatial expert at the '
    'same moment; the brighter, the more.')
ABOUT = '''# {title}
Drop a video, or take an example. The page shows what the chosen model sees
in it, what the other models say, and who asks whom inside.'''


class Settings(NamedTuple):
    """What the owner of the page chose.

    Attributes:
        window: Seconds of the timeline's windows.
        limits: What a visitor may ask for.
        examples: Videos of the owner.
    """
    window: float
    limits: Limits
    examples: List[str]


class Closed:
    """Middleware: the browser shall load nothing from elsewhere."""
    policy = b"default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:"

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive,
                       send: Send) -> None:
        """Add the policy to every answer."""

        async def closing(message: Message) -> None:
            if message['type'] == 'http.response.start':
                message['headers'] = [*message['headers'], (
                    b'content-security-policy', self.policy)]
            await send(message)

        await self.app(scope, receive, closing)


class Page:
    """The page of some models.

    Args:
        models: To choose from; the first is the default.
        settings: See :class:`Settings`.
    """

    def __init__(self, models: Models, settings: Settings) -> None:
        self.models = models
        self.settings = settings
        self.blocks = gr.Blocks(
            title='cast_mmaction', analytics_enabled=False,
            delete_cache=(60, KEPT))
        with self.blocks:
            self._lay_out()
            self._connect()
        self.blocks.queue(max_size=20, default_concurrency_limit=1,
                          api_open=False)

    def launch(self, host: str, port: Optional[int],
               **options: Any) -> Tuple[Any, str, str]:
        """Serve it; see ``gradio.Blocks.launch``."""
        limit = round(self.settings.limits.megabytes * 2**20)
        # A local font: the usual themes ask for one on the internet.
        font = dict(font=['system-ui', 'sans-serif'],
                    font_mono=['ui-monospace', 'monospace'])
        return self.blocks.launch(
            server_name=host,
            server_port=port,
            share=False,
            ssr_mode=False,
            footer_links=[],
            quiet=True,
            # Beyond this nothing is received; up to it we say what is wrong.
            max_file_size=4 * limit,
            state_session_capacity=50,
            theme=gr.themes.Default(**font),
            css=pieces.STYLE,
            app_kwargs=dict(middleware=[Middleware(Closed)], docs_url=None,
                            redoc_url=None, openapi_url=None),
            **options)

    def _lay_out(self) -> None:
        names = list(self.models.models)
        limits = self.settings.limits
        self.clips = gr.State(time_to_live=KEPT)
        self.seen = gr.State(time_to_live=KEPT)
        gr.Markdown(ABOUT.format(title='What does CAST see?'))
        with gr.Row():
            with gr.Column(scale=2, min_width=300):
                self.file = gr.File(
                    label='Video', elem_id='video', height=150)
                gr.Markdown(
                    f'{", ".join(VIDEO_SUFFIXES)}; up to '
                    f'{limits.megabytes:g} MB and {limits.length / 60:g} '
                    'minutes. Deleted when it has been read.',
                    elem_classes='cast-small')
                self.examples = gr.Gallery(
                    _thumbnails(self.settings.examples),
                    label='Examples',
                    elem_id='examples',
                    columns=3,
                    rows=2,
                    height='auto',
                    allow_preview=False,
                    interactive=False,
                    buttons=[],
                    visible=bool(self.settings.examples))
                self.model = gr.Dropdown(
                    names, value=names[0], label='Model', elem_id='model')
                self.about_model = gr.HTML(self._about(names[0]))
            with gr.Column(scale=3, min_width=400):
                self.said = gr.HTML(
                    pieces.note('No video yet.'), elem_id='said')
                self.strip = gr.HTML(elem_id='strip')
                self.top = gr.HTML(elem_id='top')
        self.results = gr.Column(visible=False)
        with self.results:
            self.timeline_title = gr.Markdown('## What is seen when')
            self.timeline = gr.HTML(elem_id='timeline')
            with gr.Column(visible=len(names) > 1):
                gr.Markdown('## Side by side')
                self.side = gr.HTML(elem_id='side')
            self.cams_title = gr.Markdown(
                '## What the answers rest on\nGrad-CAM: patches that speak '
                'for the answer are bright.')
            self.cams = gr.HTML(elem_id='cams')
        self.inside = gr.Column(visible=False)
        with self.inside:
            gr.Markdown('## Who asks whom')
            with gr.Row():
                self.direction = gr.Radio([], label='Attention',
                                          elem_id='direction')
                self.layer = _slider('Layer', 'layer')
                self.moment = _slider('Moment', 'moment')
                self.row = _slider('Row', 'row')
                self.column = _slider('Column', 'column')
            self.meaning = gr.HTML()
            self.overlay = gr.HTML(elem_id='overlay')

    def _connect(self) -> None:
        shown = [
            self.clips, self.seen, self.said, self.strip, self.top,
            self.results, self.timeline_title, self.timeline, self.side,
            self.cams_title, self.cams, self.inside, self.direction,
            self.layer, self.moment, self.row, self.column, self.meaning,
            self.overlay
        ]
        self.file.upload(self._uploaded, [self.file, self.model],
                         [self.file, *shown], show_progress_on=self.said,
                         **ONE_AT_A_TIME)
        self.examples.select(self._example, [self.model], shown,
                             show_progress_on=self.said, **ONE_AT_A_TIME)
        self.model.input(self._chosen, [self.model, self.clips],
                         [self.about_model, *shown],
                         show_progress_on=self.said, **ONE_AT_A_TIME)
        sliders = [self.layer, self.moment, self.row, self.column]
        self.direction.input(
            self._turned, [self.seen, self.direction],
            [*sliders, self.meaning, self.overlay], **ONE_AT_A_TIME)
        for slider in sliders:
            slider.input(
                self._moved, [self.seen, self.direction, *sliders],
                self.overlay, show_progress='hidden',
                trigger_mode='always_last', **ONE_AT_A_TIME)

    def _uploaded(self, path: Optional[str], model: str) -> Dict:
        """A visitor's file: read, deleted, shown."""
        try:
            found = self._read_and_show(path, model)
        finally:
            delete(path)
        return {self.file: None, **found}

    def _example(self, event: gr.SelectData, model: str) -> Dict:
        """One of the owner's files."""
        return self._read_and_show(self.settings.examples[event.index], model)

    def _chosen(self, model: str, clips: Optional[Clips]) -> Dict:
        """Another model, for the video that is there."""
        about = {self.about_model: self._about(model)}
        return {**about, **self._show(clips, model)} if clips else about

    def _read_and_show(self, path: str, model: str) -> Dict:
        try:
            clips = read(path, self.models.pipelines, self.settings.window,
                         self.settings.limits)
        except Refused as error:
            return self._refused(str(error))
        return self._show(clips, model)

    def _refused(self, reason: str) -> Dict:
        return {
            self.clips: None,
            self.seen: None,
            self.said: pieces.note(reason, 'error'),
            self.strip: '',
            self.top: '',
            self.results: gr.update(visible=False),
            self.inside: gr.update(visible=False)
        }

    def _show(self, clips: Clips, model: str) -> Dict:
        seen = self.models.look(clips, model)
        answers = seen.answers
        frames = seen.watched.frames
        steps = min(FRAMES, frames.shape[1])
        found = {
            self.clips: clips,
            self.seen: seen,
            self.said: pieces.note(
                f'{clips.name}, {clips.length:.1f} s, seen by {model}, which '
                f'reads {frames.shape[1]} frames of it.'),
            self.strip: pieces.strip(
                step_pictures(frames[:, :frames.shape[1] // steps * steps],
                              steps)),
            self.top: pieces.answer(answers[model]),
            self.results: gr.update(visible=True),
            self.side: pieces.side_by_side(answers),
            self.timeline_title: gr.update(visible=bool(seen.timeline)),
            self.timeline: self._timeline(seen),
            self.cams_title: gr.update(visible=bool(seen.cams)),
            self.cams: ''.join(pieces.row(row) for row in seen.cams),
            self.inside: gr.update(visible=bool(seen.maps))
        }
        if seen.maps:
            names = seen.directions()
            found[self.direction] = gr.update(choices=names, value=names[0])
            found.update(self._turned(seen, names[0]))
        return found

    def _timeline(self, seen: Seen) -> str:
        if not seen.timeline:
            return ''
        return pieces.figure(
            timeline_figure(seen.timeline),
            f'which class leads when, by {seen.model}')

    def _turned(self, seen: Seen, direction: str) -> Dict:
        """Another attention: its layers, its places, the middle asks."""
        layers, most = seen.layers(direction), seen.places(direction)
        at = [layers[-1], *(count // 2 for count in most)]
        ends = [(layers[0], layers[-1]), *((0, count - 1) for count in most)]
        sliders = [  # which want an end above their start
            gr.update(minimum=first, maximum=max(last, first + 1), value=place,
                      interactive=last > first)
            for (first, last), place in zip(ends, at)
        ]
        own = f'The attention of the {direction} expert itself: the patch ' \
            'with the blue frame reads what is bright.'
        return {
            self.meaning: pieces.note(MEANING.get(direction, own)),
            self.overlay: pieces.row(seen.overlay(direction, *at)),
            **dict(zip((self.layer, self.moment, self.row, self.column),
                       sliders))
        }

    def _moved(self, seen: Optional[Seen], direction: str, layer: int,
               *places: int) -> str:
        """Another patch asks."""
        if seen is None:
            return pieces.note('The page has forgotten this video; drop it '
                               'again.', 'error')
        return pieces.row(seen.overlay(direction, layer, *places))

    def _about(self, name: str) -> str:
        size = self.models.size(name) / 1e6
        if not self.models.is_toy(name):
            return pieces.note(f'{name}: {size:.0f} million parameters.')
        return pieces.note(
            f'{name} is a toy: {size:.1f} million parameters (CAST-B has '
            '217). It knows the kind of clips that it was trained on, and '
            'what it says about any other video means nothing.', 'toy')


def _slider(label: str, name: str) -> gr.Slider:
    return gr.Slider(0, 1, value=0, step=1, label=label, elem_id=name,
                     buttons=[], min_width=120)


def _thumbnails(videos: List[str]) -> List[Image.Image]:
    """The middle of each video."""
    found = []
    for path in videos:
        reader = READERS['pyav'](path)
        image = Image.fromarray(reader.read([len(reader) // 2])[0])
        factor = THUMBNAIL / min(image.size)
        found.append(image.resize([round(side * factor)
                                   for side in image.size]))
    return found
