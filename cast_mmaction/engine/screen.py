"""What of a run's log is worth showing while it runs.

All of it is in the log file. The screen has one table, see
:mod:`~cast_mmaction.engine.overview`, then a line of progress at a time, and
every warning.
"""
import logging
import re
import warnings
from typing import Dict

from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.logging.logger import MMFormatter
from mmengine.runner import Runner

from .overview import as_text, overview

# As `extra` of a message: shown before the table, too.
SHOW = dict(screen=True)
# Of a line of progress, what is looked up in the file, if at all.
UNSHOWN = re.compile(
    r'\s+(base_lr|time|data_time|memory|grad_norm|\w*top[2-9]\w*): \S+')
PROGRESS = ('Epoch(', 'Iter(')
# Of the host about its own code, or said in the table.
INTERNAL = ('"FileClient" will be deprecated',
            '"HardDiskBackend" is the alias', 'Exp name: ')


class ScreenFilter(logging.Filter):
    """Lets warnings pass, what is marked with ``SHOW`` and, once it is
    opened, figures and messages of one line.

    Attributes:
        open: Whether the preparations are over.
    """

    def __init__(self) -> None:
        super().__init__()
        self.open = False

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the screen gets a record."""
        message = record.getMessage()
        if message.startswith(INTERNAL):
            return False
        if record.levelno > logging.INFO:
            return True
        if getattr(record, 'screen', False):
            return True
        # Figures of a test may be matrices.
        return self.open and ('\n' not in message.strip()
                              or message.startswith(PROGRESS))


class ScreenFormatter(logging.Formatter):
    """The hour and the message; more only of warnings.

    Args:
        color (bool): Whether the screen shows colours.
    """

    def __init__(self, color: bool) -> None:
        super().__init__('%(asctime)s  %(message)s', '%H:%M:%S')
        self._grave = MMFormatter(color=color, datefmt='%H:%M:%S')

    def format(self, record: logging.LogRecord) -> str:
        """A record as the screen shows it."""
        if record.levelno > logging.INFO:
            return self._grave.format(record)
        text = super().format(record)
        if record.getMessage().startswith(PROGRESS):
            text = UNSHOWN.sub('', text)
        return text


class _Ready(Hook):
    """Shows what is about to be trained, when all has been loaded."""

    def before_train(self, runner) -> None:
        title = f'Training {runner.experiment_name}'
        runner.logger.info(as_text(title, overview(runner)), extra=SHOW)
        runner.open_screen()


class QuietRunner(Runner):
    """MMEngine's runner with a screen that can be read.

    Environment, config, hooks and whatever else is said before the first
    step stand in the log file alone.
    """

    def setup_env(self, env_cfg: Dict) -> None:
        """MMEngine's, which is not to warn of its own code."""
        warnings.filterwarnings('ignore', module=r'mmengine\.')
        super().setup_env(env_cfg)

    def build_logger(self, *args, **kwargs) -> MMLogger:
        """MMEngine's logger, with a filter before the screen."""
        logger = super().build_logger(*args, **kwargs)
        self._screen = ScreenFilter()
        for handler in logger.handlers:
            if not isinstance(handler, logging.FileHandler):
                handler.addFilter(self._screen)
                handler.setFormatter(ScreenFormatter(handler.stream.isatty()))
        return logger

    def train(self):
        """Train, with the table before the first step."""
        self.register_hook(_Ready(), 'LOWEST')
        return super().train()

    def test(self):
        """Test, with all that is said from now on."""
        self.open_screen()
        return super().test()

    def open_screen(self) -> None:
        """Show what is said from now on."""
        self._screen.open = True
