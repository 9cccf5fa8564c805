"""`feature_importances_` and `get_support`, and the tools of scikit-learn that read them."""

import copy
import pickle
from functools import partial

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import RFE, SelectFromModel
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.masks import LayerCollapseWarning, TicketMask
from sklearn_tickets.model_selection import BatchedGridSearchCV
from sklearn_tickets.models import LeNet5, ModuleTemplate
from sklearn_tickets.pruners import (
    EdgePopupPruner,
    GivenMaskPruner,
    IterativeMagnitudePruner,
    LearningRateRewindingPruner,
    MagnitudePruner,
)
from tests.instances import (
    X_SMALL,
    Y_SMALL,
    ConvNet,
    instances,
    make_net,
    small_data,
    small_images,
    two_layer_net,
)


@pytest.fixture(scope="module")
def data():
    """The first two of six features tell the classes."""
    X = np.random.RandomState(0).standard_normal((200, 6)).astype(np.float32)
    return X, (X[:, 0] > X[:, 1]).astype(int)


PRUNER = IterativeMagnitudePruner(
    make_net("classifier"),
    sparsity=0.9,
    n_rounds=3,
    round_epochs=10,
    final_epochs=5,
    random_state=0,
)


@pytest.fixture(scope="module")
def pruner(data):
    return clone(PRUNER).fit(*data)


def keep(mask):
    """Fit the two-layer net under a mask, at its own weights."""
    mask = TicketMask({"0.weight": mask[:2], "2.weight": mask[2:]})
    return GivenMaskPruner(two_layer_net(), mask, train_ticket=False).fit(X_SMALL, Y_SMALL)


def test_shares_of_the_two_layer_net_by_hand():
    # |W1| = [[1, 2], [3, 4]] and |W2| = [5, 6]: the flow enters as [5 + 18, 10 + 24].
    importances = keep([[1, 1], [1, 1], [1, 1]]).feature_importances_
    assert importances.dtype == np.float64
    assert_allclose(importances, [23 / 57, 34 / 57])


def test_only_kept_paths_count_by_hand():
    assert_allclose(keep([[1, 0], [1, 1], [1, 1]]).feature_importances_, [23 / 47, 24 / 47])
    assert_allclose(keep([[1, 0], [1, 1], [1, 0]]).feature_importances_, [1, 0])


def test_a_collapsed_ticket_gives_zeros():
    with pytest.warns(LayerCollapseWarning):
        pruner = keep([[1, 1], [0, 0], [0, 1]])
    assert_array_equal(pruner.feature_importances_, [0, 0])
    assert_array_equal(pruner.get_support(), [False, False])
    assert pruner.get_support(indices=True).size == 0


def test_biases_and_signs_do_not_count(pruner):
    other = copy.deepcopy(pruner)
    with torch.no_grad():
        for name, value in other.estimator_.module_.named_parameters():
            value.copy_(value + 7 if name.endswith("bias") else -value)
    assert_array_equal(other.feature_importances_, pruner.feature_importances_)


@pytest.mark.filterwarnings("ignore::sklearn_tickets.masks.LayerCollapseWarning")
@pytest.mark.parametrize("kind", ["classifier", "regressor"])
def test_every_pruner_has_shares(kind):
    X, y = small_data()
    for pruner in instances(kind):
        pruner.fit(X, y)
        importances = pruner.feature_importances_
        assert importances.shape == (6,)
        assert not importances[~pruner.input_support_].any()
        assert importances.sum() == pytest.approx(0 if pruner.rounds_[-1]["collapsed"] else 1)
        mlp = [abs(layer.weight.detach().double()) for layer in pruner.estimator_.module_.layers]
        expected = (mlp[1] @ mlp[0]).sum(axis=0)
        assert_allclose(importances, expected / (expected.sum() or 1), err_msg=str(pruner))


def test_images_have_a_share_for_each_pixel():
    X, y = small_images()
    for module in (ConvNet, partial(LeNet5, n_channels=1, image_size=8)):
        net = make_net("classifier", module=module, max_epochs=1)
        pruner = MagnitudePruner(net, sparsity=0.9, random_state=0).fit(X, y)
        importances = pruner.feature_importances_
        assert importances.shape == pruner.get_support().shape == (1, 8, 8)
        assert importances.sum() == pytest.approx(1)
        assert not importances[~pruner.input_support_].any()
        assert_array_equal(
            pruner.get_support(indices=True), np.flatnonzero(pruner.input_support_.ravel())
        )


def test_a_constant_filter_before_max_pooling_reads_all_pixels_alike():
    module = nn.Sequential(nn.Conv2d(1, 1, 1), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 1))
    for value in module.parameters():
        nn.init.ones_(value)
    net = make_net("regressor", module=ModuleTemplate(module))
    X = np.random.RandomState(0).uniform(size=(8, 1, 8, 8)).astype(np.float32)
    pruner = GivenMaskPruner(net, train_ticket=False).fit(X, X.mean(axis=(1, 2, 3)))
    assert_allclose(pruner.feature_importances_, np.full((1, 8, 8), 1 / 64))


class WithAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(6, 1, batch_first=True)
        self.head = nn.Linear(6, 2)

    def forward(self, x):
        x = x[:, None]
        return self.head(self.attention(x, x, x)[0][:, 0])


def test_paths_that_cannot_be_followed_are_refused_by_name(data):
    net = make_net("classifier", module=WithAttention, max_epochs=1)
    pruner = MagnitudePruner(net, sparsity=0.5, random_state=0).fit(*data)
    complaint = "multi_head_attention_forward in WithAttention cannot be followed. Use sklearn"
    with pytest.raises(AttributeError, match=complaint):
        _ = pruner.feature_importances_
    assert pruner._repr_html_()  # reads all attributes that there are
    assert pruner.get_support().all()
    assert permutation_importance(pruner, *data, n_repeats=1).importances_mean.shape == (6,)


def test_unfitted_pruners_have_neither():
    assert not hasattr(PRUNER, "feature_importances_")
    with pytest.raises(
        NotFittedError, match="This IterativeMagnitudePruner instance is not fitted"
    ):
        _ = PRUNER.feature_importances_
    with pytest.raises(NotFittedError):
        PRUNER.get_support()


def test_an_untrained_ticket_is_read_at_its_initial_weights(data):
    pruner = EdgePopupPruner(make_net("classifier"), sparsity=0.5, mask_epochs=2, random_state=0)
    pruner.fit(*data)
    weight = pruner.mask_.apply(pruner.initial_state_)
    first, second = weight["layers.0.weight"].double().abs(), weight["layers.1.weight"].abs()
    flow = (second.double() @ first).sum(axis=0)
    assert_allclose(pruner.feature_importances_, flow / flow.sum())


def test_the_network_stays_as_it_is(pruner, data):
    before = copy.deepcopy(pruner.estimator_.module_.state_dict())
    keys = set(vars(pruner))
    stream = torch.get_rng_state()
    with torch.inference_mode():
        first = pruner.feature_importances_
    assert_array_equal(first, pruner.feature_importances_)
    assert torch.equal(torch.get_rng_state(), stream)
    assert set(vars(pruner)) == keys
    after = pruner.estimator_.module_.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_pickles_have_the_same_shares(pruner):
    for twin in (pickle.loads(pickle.dumps(pruner)), copy.deepcopy(pruner)):
        assert_array_equal(twin.feature_importances_, pruner.feature_importances_)
        assert_array_equal(twin.get_support(), pruner.get_support())


def test_select_from_model_takes_fitted_and_unfitted_pruners(pruner, data):
    X, y = data
    fitted = SelectFromModel(pruner, prefit=True)
    fresh = SelectFromModel(PRUNER).fit(X, y)
    assert_array_equal(fitted.transform(X), X[:, :2])
    assert_array_equal(fresh.transform(X), X[:, :2])
    assert fresh.threshold_ == pytest.approx(1 / 6)
    assert_array_equal(fresh.estimator_.feature_importances_, pruner.feature_importances_)
    top = SelectFromModel(pruner, prefit=True, threshold=-np.inf, max_features=1).fit(X)
    assert top.get_support(indices=True) == [pruner.feature_importances_.argmax()]


def test_recursive_elimination_fits_pruners_to_fewer_and_fewer_features(data):
    quick = clone(PRUNER).set_params(n_rounds=1, sparsity=0.5)
    selector = RFE(quick, n_features_to_select=2, step=2).fit(*data)
    assert_array_equal(selector.get_support(indices=True), [0, 1])
    assert selector.estimator_.n_features_in_ == 2


def test_permutation_importance_agrees(pruner, data):
    permuted = permutation_importance(pruner, *data, random_state=0).importances_mean
    assert {*np.argsort(permuted)[-2:]} == {*np.argsort(pruner.feature_importances_)[-2:]} == {0, 1}


@pytest.mark.parametrize("search_class", [GridSearchCV, BatchedGridSearchCV])
def test_selectors_are_steps_of_pipelines_in_searches(search_class, data):
    last = clone(PRUNER).set_params(n_rounds=1)
    pipeline = make_pipeline(StandardScaler(), SelectFromModel(PRUNER), last)
    grid = {"iterativemagnitudepruner__sparsity": [0.2, 0.5]}
    search = search_class(pipeline, grid, cv=2, error_score="raise").fit(*data)
    assert search.score(*data) > 0.9
    _, selector, found = search.best_estimator_
    assert_array_equal(selector.get_support(indices=True), [0, 1])
    assert found.feature_importances_.shape == (2,)


def test_shares_are_read_inside_pipelines_and_searches(data):
    inside = SelectFromModel(
        make_pipeline(StandardScaler(), PRUNER),
        importance_getter="named_steps.iterativemagnitudepruner.feature_importances_",
    )
    assert_array_equal(inside.fit(*data).get_support(indices=True), [0, 1])
    inside = SelectFromModel(
        GridSearchCV(PRUNER, {"sparsity": [0.8, 0.9]}, cv=2),
        importance_getter="best_estimator_.feature_importances_",
    )
    assert_array_equal(inside.fit(*data).get_support(indices=True), [0, 1])


def test_planted_features_are_found_among_noise():
    generator = PlantedTicketGenerator("circle", n_noise_features=20, random_state=0)
    planted = generator.generate(2000)
    net = planted.make_net(lr=1e-2, batch_size=64)
    pruner = LearningRateRewindingPruner(
        net, sparsity=0.995, n_rounds=10, final_epochs=10, prune_bias=True, random_state=0
    ).fit(planted.X, planted.y)
    assert_array_equal(pruner.get_support(), planted.input_support)
    selector = SelectFromModel(pruner, prefit=True).fit(planted.X)
    assert_array_equal(selector.get_support(), planted.input_support)
