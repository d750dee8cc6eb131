"""What the host does with checkpoints and inferencers."""
import functools
from pathlib import Path
from typing import Callable

from .registry import remedy


@remedy
def program_in_checkpoint() -> bool:
    """Runners and inferencers run the config inside a checkpoint as Python,
    and what is fetched from the net is unpickled without a limit."""
    from mmengine.infer import BaseInferencer
    from mmengine.runner import checkpoint as module

    from ..checkpoints import host_loading
    from ..foreign_config import no_larger_than
    load = module.CheckpointLoader.load_checkpoint
    init_model = BaseInferencer._init_model

    @functools.wraps(load)
    def load_checkpoint(filename, map_location=None, logger='current'):
        return host_loading.without_program(
            load(filename, map_location, logger), filename)

    @functools.wraps(init_model)
    def from_data(self, cfg, weights, device='cpu'):
        if cfg:
            return init_model(self, cfg, weights, device)
        content = load_checkpoint(weights, 'cpu')
        cfg.update(host_loading.config_of(content, weights))
        with no_larger_than(content.get('state_dict', {}), weights):
            return init_model(self, cfg, weights, device)

    module.CheckpointLoader.register_scheme(
        '', host_loading.load_from_local, force=True)
    module.load_url = host_loading.load_url
    module.CheckpointLoader.load_checkpoint = staticmethod(load_checkpoint)
    BaseInferencer._init_model = from_data
    return True


@remedy
def any_checkpoint_for_any_model() -> bool:
    """`init_recognizer` and inferencers print what does not fit, and go on
    with random weights. Models with parts of this package are filled, or
    refuse; others keep the host's ways."""
    from mmaction.apis import inference
    from mmengine.infer import BaseInferencer

    from ..checkpoints import host_loading
    load_checkpoint = inference.load_checkpoint
    load_weights = BaseInferencer._load_weights_to_model

    @functools.wraps(load_checkpoint)
    def load_to_use(model, filename, *args, **kwargs):
        if not host_loading.is_ours(model):
            return load_checkpoint(model, filename, *args, **kwargs)
        from mmengine.runner import CheckpointLoader
        content = CheckpointLoader.load_checkpoint(filename, 'cpu')
        host_loading.fill(model, content, filename)
        return content

    @functools.wraps(load_weights)
    def load_weights_to_use(self, model, checkpoint, cfg) -> None:
        if checkpoint is None or not host_loading.is_ours(model):
            return load_weights(self, model, checkpoint, cfg)
        host_loading.fill(model, checkpoint, 'the weights')

    inference.load_checkpoint = load_to_use
    BaseInferencer._load_weights_to_model = load_weights_to_use
    return True


@remedy
def precision_of_inference() -> bool:
    """`init_recognizer` and inferencers compute in float32, always."""
    from mmaction.apis import inference
    from mmengine.infer import BaseInferencer

    from ..precision import of_checkpoint, run_in
    load_checkpoint = inference.load_checkpoint
    load_weights = BaseInferencer._load_weights_to_model

    @functools.wraps(load_checkpoint)
    def load_and_follow(model, *args, **kwargs):
        content = load_checkpoint(model, *args, **kwargs)
        run_in(model, of_checkpoint(content) or 'float32')
        return content

    @functools.wraps(load_weights)
    def load_weights_and_follow(self, model, checkpoint, cfg) -> None:
        load_weights(self, model, checkpoint, cfg)
        if checkpoint is not None:
            run_in(model, of_checkpoint(checkpoint) or 'float32')

    inference.load_checkpoint = load_and_follow
    BaseInferencer._load_weights_to_model = load_weights_and_follow
    return True


@remedy
def resume_in_foreign_words() -> bool:
    """A checkpoint that cannot be resumed ends in a KeyError or the like."""
    from mmengine.runner import FlexibleRunner, Runner

    from ..checkpoints import CheckpointError

    def named(original: Callable) -> Callable:

        @functools.wraps(original)
        def resume(self, filename, *args, **kwargs) -> None:
            try:
                original(self, filename, *args, **kwargs)
            except CheckpointError:
                raise
            except (ArithmeticError, AssertionError, AttributeError,
                    LookupError, TypeError, ValueError) as error:
                raise CheckpointError(
                    f'{filename}: no training can be resumed from it '
                    f'({type(error).__name__}: {error})') from error

        return resume

    Runner.resume = named(Runner.resume)
    FlexibleRunner.resume = named(FlexibleRunner.resume)
    return True


@remedy
def named_scores_in_inferencer() -> bool:
    """Inferencers know one vector of scores, and classes by number.

    Their answers get the best five by name (``pred_top`` and ``rec_top``)
    where the model knows its classes.
    """
    from mmaction.apis.inferencers import (ActionRecogInferencer,
                                           MMAction2Inferencer)
    pred2dict = ActionRecogInferencer.pred2dict
    postprocess = MMAction2Inferencer.postprocess

    def top(inferencer, scores) -> dict:
        from ..class_names import names_by_task
        from ..prediction import best_guesses
        model = getattr(inferencer, 'model', None)
        names = names_by_task(getattr(model, 'dataset_meta', None))
        guesses = best_guesses(scores, names, 5) if names else {}
        return {
            task: [guess._asdict() for guess in best]
            for task, best in guesses.items()
        }

    @functools.wraps(pred2dict)
    def named(self, data_sample) -> dict:
        scores = data_sample.pred_score
        if isinstance(scores, dict):
            result = dict(
                pred_labels={t: int(x.argmax()) for t, x in scores.items()},
                pred_scores={t: x.tolist() for t, x in scores.items()})
        else:
            result = pred2dict(self, data_sample)
        best = top(self, scores)
        return dict(result, pred_top=best) if best else result

    @functools.wraps(postprocess)
    def with_names(self, preds, *args, **kwargs):
        results = postprocess(self, preds, *args, **kwargs)
        for result, samples in zip(results['predictions'],
                                   preds.get('rec', [])):
            best = [top(self.actionrecog_inferencer, sample.pred_score)
                    for sample in samples]
            if any(best):
                result['rec_top'] = best
        return results

    ActionRecogInferencer.pred2dict = named
    MMAction2Inferencer.postprocess = with_names
    return True


@remedy
def names_of_one_package_in_inferencer() -> bool:
    """The inferencer knows the names of MMAction2's own models alone."""
    from mmaction.apis.inferencers import ActionRecogInferencer
    original = ActionRecogInferencer.__init__

    @functools.wraps(original)
    def init(self, model, weights=None, *args, **kwargs) -> None:
        from ..config_names import indexed_models
        named = None
        if isinstance(model, str) and not Path(model).is_file():
            named = indexed_models().get(model.lower())
        if named is not None:
            model, weights = str(named.config), weights or named.weights
            if weights is None:
                raise ValueError(
                    f'{named.name} has no published weights; give rec_weights='
                    'a checkpoint of your own')
        original(self, model, weights, *args, **kwargs)

    ActionRecogInferencer.__init__ = init
    return True
