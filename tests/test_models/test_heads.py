import pytest
import torch
from mmaction.models.heads import BaseHead
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample

from cast_mmaction.models import CASTHead, LinearHead, VerbNounHead


def verb_noun_samples(verbs, nouns):
    samples = []
    for verb, noun in zip(verbs, nouns):
        sample = ActionDataSample()
        sample.gt_verb = torch.as_tensor(verb)
        sample.gt_noun = torch.as_tensor(noun)
        samples.append(sample)
    return samples


def test_cast_head_sums_the_adapted_streams():
    head = CASTHead((8, 12), num_classes=5)
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter)
    s, t = torch.randn(3, 8), torch.randn(3, 12)
    expected = head.fc_cls(head.spatial_adapter(s) + head.temporal_adapter(t))
    torch.testing.assert_close(head((s, t)), expected)


@pytest.mark.parametrize('head', [
    CASTHead(8, num_classes=5),
    VerbNounHead(8, num_verbs=3, num_nouns=4),
])
def test_scores_are_float32_under_autocast(head):
    feats = (torch.randn(2, 8), torch.randn(2, 8))
    with torch.autocast('cpu', torch.bfloat16):
        scores = head(feats)
    for score in scores if isinstance(scores, tuple) else (scores, ):
        assert score.dtype == torch.float32


def test_verbs_come_from_time_and_nouns_from_space():
    head = VerbNounHead(8, num_verbs=3, num_nouns=4)
    s, t = torch.randn(2, 8), torch.randn(2, 8)
    verb, noun = head((s, t))
    torch.testing.assert_close(verb, head.fc_verb(t))
    torch.testing.assert_close(noun, head.fc_noun(s))


def test_other_backbones():
    feature = torch.randn(2, 8)
    head = VerbNounHead(8, num_verbs=3, num_nouns=4)
    verb, noun = head(feature)
    torch.testing.assert_close(verb, head.fc_verb(feature))
    torch.testing.assert_close(noun, head.fc_noun(feature))

    slow, fast = torch.randn(2, 6, 2, 3, 3), torch.randn(2, 2, 8, 3, 3)
    head = VerbNounHead(8, num_verbs=3, num_nouns=4, concat=True)
    verb, _ = head((slow, fast))
    pooled = torch.cat([slow.mean((2, 3, 4)), fast.mean((2, 3, 4))], 1)
    torch.testing.assert_close(verb, head.fc_verb(pooled))
    with pytest.raises(ValueError, match='concat=True'):
        VerbNounHead(8)((feature, feature, feature))


def test_loss_is_the_weighted_sum_of_both_cross_entropies():
    head = VerbNounHead(
        8, num_verbs=3, num_nouns=4, noun_weight=2., topk=(1, 2))
    verb, noun = torch.randn(2, 3), torch.randn(2, 4)
    samples = verb_noun_samples([[0], [2]], [[3], [1]])
    losses = head.loss_by_feat((verb, noun), samples)
    ce = torch.nn.functional.cross_entropy
    torch.testing.assert_close(losses['loss_verb'],
                               ce(verb, torch.tensor([0, 2])))
    torch.testing.assert_close(losses['loss_noun'],
                               2 * ce(noun, torch.tensor([3, 1])))
    assert {'verb_top1_acc', 'verb_top2_acc', 'noun_top1_acc',
            'noun_top2_acc'} < losses.keys()


@pytest.mark.parametrize('hard', [True, False])
def test_label_smoothing_and_soft_labels(hard):
    head = VerbNounHead(8, num_verbs=3, num_nouns=4, label_smooth_eps=.1)
    verb, noun = torch.randn(1, 3), torch.randn(1, 4)
    verbs, nouns = [[1]], [[2]]
    if not hard:
        verbs, nouns = [[0., 1., 0.]], [[0., 0., 1., 0.]]
    losses = head.loss_by_feat((verb, noun), verb_noun_samples(verbs, nouns))
    ce = torch.nn.functional.cross_entropy
    torch.testing.assert_close(
        losses['loss_verb'],
        ce(verb, torch.tensor([1]), label_smoothing=.1))
    assert {'verb_top1_acc', 'noun_top5_acc'} < losses.keys()


def test_accuracy_in_the_log_is_that_of_the_larger_share():
    head = VerbNounHead(8, num_verbs=3, num_nouns=4, topk=(1, 2))
    verb = torch.tensor([[3., 2., 1.], [3., 2., 1.]])
    noun = torch.tensor([[0., 0., 0., 9.], [9., 0., 0., 0.]])
    hard = head.loss_by_feat((verb, noun),
                             verb_noun_samples([[0], [1]], [[3], [3]]))
    soft = head.loss_by_feat((verb, noun),
                             verb_noun_samples(
                                 [[.7, .3, 0.], [.4, .6, 0.]],
                                 [[0., 0., .4, .6], [0., 0., .4, .6]]))
    for losses in (hard, soft):
        assert losses['verb_top1_acc'] == 0.5
        assert losses['verb_top2_acc'] == 1
        assert losses['noun_top1_acc'] == 0.5


def test_views_are_averaged_as_probabilities_per_task():
    head = VerbNounHead(8, num_verbs=3, num_nouns=4)
    verb, noun = torch.randn(6, 3), torch.randn(6, 4)  # 2 clips x 3 views
    samples = head.predict_by_feat((verb, noun),
                                   verb_noun_samples([[0], [0]], [[0], [0]]))
    for i, sample in enumerate(samples):
        views = slice(3 * i, 3 * i + 3)
        torch.testing.assert_close(sample.pred_score['verb'],
                                   verb[views].softmax(1).mean(0))
        torch.testing.assert_close(sample.pred_score['noun'],
                                   noun[views].softmax(1).mean(0))


@pytest.mark.parametrize('init_std, std, bias', [(.02, .02, False),
                                                 (.01, .01, False),
                                                 (None, 3**-.5 / 16, True)])
def test_where_a_linear_head_starts(init_std, std, bias):
    # PyTorch's own start is uniform up to 1 / sqrt(256).
    head = MODELS.build(
        dict(
            type='LinearHead',
            in_channels=256,
            num_classes=400,
            init_std=init_std))
    assert head.fc_cls.weight.std().item() == pytest.approx(std, rel=.02)
    assert bool(head.fc_cls.bias.any()) == bias


@pytest.mark.parametrize('smoothing', [0., .1])
@pytest.mark.parametrize('hard', [True, False])
@pytest.mark.parametrize('kind', [CASTHead, LinearHead])
@pytest.mark.parametrize('clips', [1, 5])
def test_one_label_as_the_host_has_it(kind, hard, smoothing, clips):
    """To the bit; accuracies are the host's, which come from NumPy."""
    head = kind(
        in_channels=8, num_classes=7, label_smooth_eps=smoothing, topk=(1, 3))
    scores = torch.randn(clips, 7)
    labels = torch.randint(0, 7, (clips, 1)) if hard else torch.rand(
        clips, 7).softmax(dim=1)
    samples = [ActionDataSample().set_gt_label(x) for x in labels]
    found = head.loss_by_feat(scores, samples)
    wanted = BaseHead.loss_by_feat(head, scores, samples)
    assert found.keys() == wanted.keys()
    assert torch.equal(found['loss_cls'], wanted['loss_cls'])
    for name in found.keys() - {'loss_cls'}:
        assert found[name].item() == pytest.approx(wanted[name].item())
