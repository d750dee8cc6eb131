"""Machines that share nothing but a network."""
import functools
from itertools import chain, zip_longest

from .registry import remedy


@remedy
def results_through_a_folder() -> bool:
    """Metrics gather by files in the working directory, ``.dist_test``.

    Machines without a common disk crash at their first validation. Where a
    ``collect_dir`` is named it serves, as ever.
    """
    from mmengine.evaluator import metric as module
    from ..process_group import gather
    original = module.collect_results

    @functools.wraps(original)
    def collect_results(results, size, device='cpu', tmpdir=None):
        if device != 'cpu' or tmpdir is not None:
            return original(results, size, device, **(
                {} if tmpdir is None else dict(tmpdir=tmpdir)))
        parts = gather(module._to_cpu(results))
        if parts is None:
            return None
        # Processes take the samples in turn; the last ones fill batches up.
        nothing = object()
        turns = chain.from_iterable(zip_longest(*parts, fillvalue=nothing))
        return [x for x in turns if x is not nothing][:size]

    module.collect_results = collect_results
    return True


@remedy
def a_checkpoint_on_every_machine() -> bool:
    """Every process reads the checkpoint, from its own disk.

    One does, the first unless the checkpoint hook has chosen another, and
    gives it to the others.
    """
    from mmengine.runner import Runner, runner as module
    from ..process_group import from_process
    original = Runner.load_checkpoint

    @functools.wraps(original)
    def load_checkpoint(self, *args, **kwargs):
        read = module._load_checkpoint
        source = getattr(self, 'checkpoint_source', 0)

        def read_once(filename, map_location=None):
            return from_process(
                lambda: read(filename, map_location=map_location), source,
                map_location)

        module._load_checkpoint = read_once
        try:
            return original(self, *args, **kwargs)
        finally:
            module._load_checkpoint = read

    Runner.load_checkpoint = load_checkpoint
    return True


@remedy
def other_configs_in_one_run() -> bool:
    """Processes with different configs wait for each other without a word,
    or learn something that no config says."""
    from mmengine.runner import Runner
    original = Runner.setup_env

    @functools.wraps(original)
    def setup_env(self, env_cfg) -> None:
        original(self, env_cfg)
        # Before the model is wrapped, which has the processes exchange it.
        from ..engine.same_run import compare_configs
        compare_configs(self.cfg)

    Runner.setup_env = setup_env
    return True
