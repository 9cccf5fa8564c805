"""Parameters of pruners are fields: constructors, constraints and docs follow from them."""

import inspect
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Annotated, Any, ClassVar, Literal

import pytest
from sklearn.base import clone
from sklearn.utils._param_validation import Options, StrOptions

from sklearn_tickets.pruners import (
    GivenMaskPruner,
    IterativeMagnitudePruner,
    MagnitudePruner,
    SNIPPruner,
)
from sklearn_tickets.pruners.base import Count, Epochs, ParameterFields, ScoringPruner
from tests.instances import make_net


class Doubling(MagnitudePruner):
    """Train longer and longer.

    Parameters
    ----------
    <parameters>
    factor : float, default=2.0
        By how much.
    """

    n_rounds = 3
    factor: float = 2.0


def defaults(cls):
    return {p.name: p.default for p in inspect.signature(cls).parameters.values()}


def test_signatures_look_as_if_written_by_hand():
    signature = inspect.signature(SNIPPruner)
    assert str(signature) == (
        "(estimator, *, sparsity=0.9, scope='global', prune_bias=False, exclude=(), "
        "initial_mask=None, n_rounds=1, round_epochs=0, rewind_epoch=0, schedule=None, "
        "store_rounds=False, l1=0.0, connected=False, density_schedule='geometric', "
        "granularity='weight', n_score_samples=None, regrow=False, final_epochs=None, "
        "train_ticket=True, random_state=None)"
    )
    assert str(inspect.signature(GivenMaskPruner)).startswith("(estimator, mask=None, *, ")


def test_a_preset_is_its_changed_defaults():
    changed = {"n_rounds": 10, "round_epochs": None}
    assert defaults(IterativeMagnitudePruner) == defaults(MagnitudePruner) | changed


def test_a_subclass_adds_a_parameter_by_a_line():
    pruner = Doubling(make_net("classifier"), factor=3.0)
    assert (pruner.n_rounds, pruner.factor, pruner.sparsity) == (3, 3.0, 0.9)
    assert clone(pruner).factor == 3.0
    assert set(pruner.get_params(deep=False)) == {*defaults(Doubling)}
    assert not hasattr(Doubling, "factor"), "defaults are no attributes of the class"
    with pytest.raises(TypeError, match="unexpected keyword argument 'n_turns'"):
        Doubling(make_net("classifier"), n_turns=1)


def test_docs_are_inherited_with_the_new_defaults():
    doc = inspect.getdoc(Doubling)
    assert doc.count("n_rounds : int, default=3") == 1
    assert "sparsity : float in [0, 1), default=0.9" in doc
    names = [line.split(" : ")[0] for line in doc.splitlines() if " : " in line and line[0] != " "]
    assert names == list(defaults(Doubling))


def test_the_nearest_base_decides():
    class Base(ParameterFields):
        x: Count = 1
        y: Count = 1

    class Left(Base):
        x: Count = 2

    class Right(Base):
        y: Literal["right"] = "right"

    class Both(Left, Right):
        pass

    assert (Both().x, Both().y) == (2, "right")
    assert [*map(str, Both._parameter_constraints["y"])] == ["a str among {'right'}"]


@pytest.mark.parametrize(
    ("hint", "constraints"),
    [
        (bool, ["boolean"]),
        (Mapping[str, int], [Mapping]),
        (tuple[str, ...] | list[str], [tuple, list]),
        (Literal["a", "b"] | None, [StrOptions({"a", "b"}), None]),
        (Literal[0] | None, [Options(Integral, {0}), None]),
        (Literal[0.5, "auto"], [StrOptions({"auto"}), Options(Real, {0.5})]),
        (Any, [object]),
        (Annotated[float, "first", "second"], ["first", "second"]),
    ],
)
def test_types_are_constraints(hint, constraints):
    Fields = type("Fields", (ParameterFields,), {"__annotations__": {"x": hint}, "x": None})
    # Sets of options are shown in any order.
    found = [sorted(str(each)) for each in Fields._parameter_constraints["x"]]
    assert found == [sorted(str(each)) for each in constraints]


def test_types_may_be_written_as_text():
    class Fields(ParameterFields):
        x: "Count" = 1
        y: "Epochs" = 2

    found = {name: [*map(str, checks)] for name, checks in Fields._parameter_constraints.items()}
    assert found == {
        "x": ["an int in the range [1, inf)"],
        "y": ["an int in the range [0, inf)", "None"],
    }


def test_constraints_are_checked_as_scikit_learn_checks_them():
    pruner = SNIPPruner(make_net("classifier"), n_score_samples=0)
    message = "'n_score_samples' parameter of SNIPPruner must be an int in the range"
    with pytest.raises(ValueError, match=message):
        pruner.fit([[0.0], [1.0]], [0, 1])


def test_no_class_has_parameters_that_it_does_not_have():
    assert "n_rounds" not in defaults(GivenMaskPruner)
    with pytest.raises(NotImplementedError, match="ScoringPruner does not implement _score"):
        ScoringPruner(make_net("classifier")).fit([[0.0], [1.0]], [0, 1])


def test_a_constructor_written_by_hand_is_refused():
    with pytest.raises(TypeError, match=r"ByHand.__init__: parameters are annotated attributes"):

        class ByHand(MagnitudePruner):
            def __init__(self, estimator):
                self.estimator = estimator


def test_positional_parameters_stay_positional():
    class Preset(GivenMaskPruner):
        mask = None
        train_ticket = False

    assert str(inspect.signature(Preset)).startswith("(estimator, mask=None, *, ")


def test_a_class_variable_is_no_parameter():
    class Fields(ParameterFields):
        a: "ClassVar[int]" = 1
        b: ClassVar = 2
        c: Any = 3

    assert (Fields.a, Fields.b, [*Fields._parameter_constraints]) == (1, 2, ["c"])


def test_docs_of_several_names_and_of_attributes_are_kept():
    class Fields(ParameterFields):
        """Summary.

        Parameters
        ----------
        b, c : int
            Two.
        mask : str, default="a\\\\b"
            One.

        Attributes
        ----------
        mask : str
            The same name.
        other_ : int
            Another.
        """

        mask: str = "a\\b"
        b: int = 1
        c: int = 2

    class Sub(Fields):
        """Summary.

        Parameters
        ----------
        <parameters>

        Attributes
        ----------
        <attributes>
        """

        mask = r"\\d"

    for text in ("b, c : int", "other_ : int", r'default="\\d"'):
        assert text in Sub.__doc__


def test_a_misspelt_default_is_refused():
    with pytest.raises(TypeError, match=r"Preset.n_round: parameters are annotated attributes"):

        class Preset(MagnitudePruner):
            n_round = 4
