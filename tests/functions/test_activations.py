"""Every activation of the table against its formula at many digits; what is refused; a user's own."""

from __future__ import annotations

import math
import pickle
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest

import graphprop as gp
from graphprop.functions.arithmetic import Mpmath
from graphprop.functions.trials import check_derivative, check_formula

TABLE = list(gp.ACTIVATIONS.values())
ELEMENTWISE = [f for f in TABLE if f.kind == "elementwise"]
ARRAYS = [f for f in TABLE if f.kind != "elementwise"]
NAMES = {
    *("identity", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "softplus", "silu", "gelu", "sin", "gaussian"),
    *("abs", "square", "exp", "log", "softmax_dot", "product", "max", "min", "maxabs", "mean", "median"),
    *("logsumexp", "softmax", "log_softmax"),
}
POINTS = [
    s * x for x in (1e-300, 1e-17, 1e-8, 0.1, 0.7, 1.3, 3.3, 8.1, 18.7, 26.5, 37.2, 300.3, 700.1) for s in (1, -1)
]
VECTORS = [
    [0.3, -1.2, 2.1],
    [0.0, -36.5, -40.0],
    [9007199254740992.0, 9007199254740991.0],
    [700.0, 1.0, -690.0, 2.0],
    [1e-9, 2e-9, -1e-9],
    [5.0],
    [-3.0, 1.5, 4.0, -2.5, 0.25, 7.0],
]
SMALL = 2.0**-962


@pytest.fixture(autouse=True)
def _digits() -> Iterator[None]:
    """Enough of them that the textbook formulas survive their cancellations, as 1 + exp(-700) does."""
    with mpmath.workdps(700):
        yield


def by_name(f: gp.Activation) -> str:
    return f.name


def exactly(f: gp.Activation, a: list[float], g: list[float]) -> tuple[list[Any], list[Any]]:
    """Value and vector-Jacobian product from the formula, and from numerical differentiation of it."""
    numbers = Mpmath(mpmath.mp)
    exact = [mpmath.mpf(x) for x in a]
    value = numbers.outputs(f, exact)
    return value, numbers.pull(f, exact, value, [mpmath.mpf(x) for x in g])


def test_the_table_is_complete() -> None:
    assert set(gp.ACTIVATIONS) == NAMES


@pytest.mark.parametrize("f", TABLE, ids=by_name)
def test_the_derivative_and_the_formula_belong_to_the_value(f: gp.Activation) -> None:
    check_derivative(f)
    check_formula(f)


@pytest.mark.parametrize("f", TABLE, ids=by_name)
def test_there_is_a_formula_in_text_and_latex(f: gp.Activation) -> None:
    assert f.formula is not None
    assert f.text != f"{f.name}(a)" or f.name in ("tanh", "sin", "log", "exp")
    assert f.latex.count("{") == f.latex.count("}")
    assert repr(f).startswith(f"<activation {f.name}")


@pytest.mark.parametrize("f", ELEMENTWISE, ids=by_name)
def test_elementwise_to_the_last_digits(f: gp.Activation) -> None:
    low, high = f.domain
    for a in POINTS:
        if not low <= a <= high:
            continue
        (value,), (slope,) = exactly(f, [a], [1.0])
        if abs(value) > 1e308:
            continue
        # gelu and silu cross 0 with a slope of order 1, where only the absolute error can be small
        crossing = 1.0 if f.name in ("gelu", "silu") and -2 < a < -0.5 else 0.0
        for found, exact in ((f.value(a), value), (f.vjp(a, 1.0), slope)):
            assert abs(found - exact) <= 1.2e-15 * max(abs(exact), crossing) + 400 * 2.0**-1074, (a, found, exact)


@pytest.mark.parametrize("f", ARRAYS, ids=by_name)
def test_arrays_to_the_last_digits(f: gp.Activation) -> None:
    for a in VECTORS:
        g = [0.75] if f.kind == "reducing" else [0.75, -0.5, 1.25, 2.0, -1.0, 0.5][: len(a)]
        value, slope = exactly(f, a, g)
        found = np.atleast_1d(f.value(a))
        pulled = f.vjp(a, g[0] if f.kind == "reducing" else g)
        # entries that are differences of larger terms: their error is that of the terms
        terms = np.abs(g).max() * (1 + (np.ptp(a) if f.name == "softmax_dot" else 0))
        scale = (
            np.ones(len(a)) if f.name == "product" else np.abs(f.jacobian(a)).max(axis=0) if f.kind == "vector" else 1
        )
        for x, exact in zip(found, value, strict=True):
            assert abs(x - exact) <= 1e-15 * abs(exact) + 400 * 2.0**-1074, (a, x, exact)
        for x, exact, s in zip(pulled, slope, np.broadcast_to(scale, len(a)), strict=True):
            assert abs(x - exact) <= 1e-15 * max(abs(exact), s * terms) + 400 * 2.0**-1074, (a, x, exact)


@pytest.mark.parametrize("f", ARRAYS, ids=by_name)
def test_the_jacobian_is_made_of_the_products_with_unit_vectors(f: gp.Activation) -> None:
    a = [0.3, -1.2, 2.1]
    jacobian = np.atleast_2d(f.jacobian(a))
    for k, unit in enumerate([1.0] if f.kind == "reducing" else np.eye(3)):
        for i in range(3):
            measured = (np.array(f.value(moved(a, i, 1e-6))) - np.array(f.value(moved(a, i, -1e-6)))) / 2e-6
            assert jacobian[k, i] == pytest.approx(np.atleast_1d(measured)[k], abs=1e-8)
        np.testing.assert_array_equal(jacobian[k], f.vjp(a, unit))


def moved(a: list[float], i: int, h: float) -> list[float]:
    return [x + h * (j == i) for j, x in enumerate(a)]


def test_shapes() -> None:
    tanh, softmax, dot = map(gp.activation, ("tanh", "softmax", "softmax_dot"))
    assert tanh.value(0.0) == 0.0
    assert tanh.value([[0.0, 0.0]]).shape == (1, 2)
    assert tanh.jacobian(0.0) == 1.0
    np.testing.assert_array_equal(tanh.jacobian([0.0, 0.0]), np.eye(2))
    assert softmax.value(np.zeros((5, 3))).shape == (5, 3)
    assert softmax.jacobian([1.0, 2.0, 3.0]).shape == (3, 3)
    assert dot.value(np.zeros((5, 3))).shape == (5,)
    assert dot.jacobian([1.0, 2.0, 3.0]).shape == (3,)
    assert dot.vjp(np.zeros((5, 3)), np.ones(5)).shape == (5, 3)
    with pytest.raises(gp.GraphpropError, match=r"v has shape \(2,\); the output has shape \(3,\)"):
        softmax.vjp([1.0, 2.0, 3.0], [1.0, 2.0])
    with pytest.raises(gp.GraphpropError, match="one vector"):
        softmax.jacobian(np.zeros((2, 2)))


@pytest.mark.parametrize("f", TABLE, ids=by_name)
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_nan_and_infinity_are_refused_in_every_component(f: gp.Activation, bad: float) -> None:
    if f.kind == "elementwise":
        if not math.isnan(bad) and f.domain[1] == math.inf:
            assert f.value(bad) == 1.0  # the limit
            return
        with pytest.raises(gp.NumberError, match=f"a is {bad}"):
            f.value(bad)
        return
    for i in range(3):
        a = [0.5, 1.5, 2.5]
        a[i] = bad
        with pytest.raises(gp.NumberError, match=f"component {i} is {bad}"):
            f.value(a)


def test_the_softmax_family_takes_masks_and_no_other() -> None:
    assert {f.name for f in TABLE if f.masks} == {"softmax_dot", "logsumexp", "softmax", "log_softmax"}


@pytest.mark.parametrize("f", [f for f in ARRAYS if f.masks], ids=by_name)
def test_a_masked_component_is_absent(f: gp.Activation) -> None:
    full, kept = f.value([0.5, -math.inf, 2.0]), f.value([0.5, 2.0])
    g = 1.0 if f.kind == "reducing" else [0.3, 0.0, -0.7]
    gradient = f.vjp([0.5, -math.inf, 2.0], g)
    assert gradient[1] == 0.0
    np.testing.assert_array_equal(gradient[[0, 2]], f.vjp([0.5, 2.0], g if f.kind == "reducing" else [0.3, -0.7]))
    np.testing.assert_array_equal(full if f.kind == "reducing" else full[[0, 2]], kept)
    with pytest.raises(gp.NumberError, match="every component is -inf"):
        f.value([-math.inf, -math.inf])


def test_the_domain_is_named() -> None:
    with pytest.raises(gp.NumberError, match=r"log: a is 0\.0; log needs a number > 0$"):
        gp.activation("log").value(0.0)
    with pytest.raises(gp.NumberError, match=r"log: a is inf; log needs a finite number > 0$"):
        gp.activation("log").value(math.inf)
    with pytest.raises(gp.NumberError, match=r"sigmoid: a is nan; sigmoid needs a number$"):
        gp.activation("sigmoid").value(math.nan)
    with pytest.raises(gp.NumberError, match=r"component 1 is inf; softmax needs a finite number \(or -inf, a mask\)$"):
        gp.activation("softmax").value([0.0, math.inf])
    with pytest.raises(gp.NumberError, match=r"exp\(1000\.0\)"):
        gp.activation("exp").value(1000.0)


@pytest.mark.parametrize(
    ("domain", "allowed"),
    [
        ((0.0, math.inf), "a number >= 0"),
        ((0.0, 1.7976931348623157e308), "a number >= 0"),
        ((math.nextafter(0.0, 1.0), math.inf), "a number > 0"),
        ((-math.inf, -0.5), "a number <= -0.5"),
        ((-math.inf, math.nextafter(1.0, 0.0)), "a number < 1"),
        ((-1.0, 1.0), "a number in [-1, 1]"),
        ((math.nextafter(-1.0, 0.0), 1.0), "a number in (-1, 1]"),
        ((math.nextafter(0.1, 1.0), math.nextafter(2.5, 0.0)), "a number in (0.1, 2.5)"),
        ((1e-300, math.pi), "a number in [1e-300, 3.141592653589793]"),
    ],
)
def test_a_domain_is_told_as_people_write_it(domain: tuple[float, float], allowed: str) -> None:
    f = gp.Activation("f", lambda a: a, lambda a, o: 1.0, domain=domain)
    outside = domain[0] - 1e3 if math.isfinite(domain[0]) else domain[1] + 1e3
    assert f.refusal([outside]) == f"a is {outside}; f needs {allowed}"


def test_the_product_does_not_overflow_on_the_way() -> None:
    product = gp.activation("product")
    assert product.value([1e200, 1e200, 1e-300]) == pytest.approx(1e100, rel=1e-15)
    np.testing.assert_allclose(product.vjp([1e200, 0.0, 2e-200], 1.0), [0.0, 2.0, 0.0], rtol=1e-15)


@pytest.mark.parametrize("zeros", [0, 1, 2])
def test_the_gradient_of_a_product_is_the_product_of_the_others(zeros: int) -> None:
    rng = np.random.default_rng(zeros)
    for n in (1, 2, 3, 8, 17):
        a = rng.choice([-1.0, 1.0], n) * 10.0 ** rng.uniform(-40, 40, n)
        a[rng.permutation(n)[:zeros]] = 0.0
        others = [math.prod(Fraction(x) for j, x in enumerate(a) if j != i) for i in range(n)]
        found = gp.activation("product").vjp(a, -2.0)
        assert all(abs(Fraction(x) + 2 * y) <= abs(y) * n / 2**52 for x, y in zip(found, others, strict=True))


def test_a_long_product_overflows_nowhere_and_takes_linear_time() -> None:
    a = np.repeat([2.0, 0.5, -1.0], 20_000)  # all products are powers of 2
    np.testing.assert_array_equal(gp.activation("product").vjp(a, 3.0), 3.0 / a)


def test_ties_go_to_the_first() -> None:
    np.testing.assert_array_equal(gp.activation("max").vjp([1.0, 3.0, 3.0], 1.0), [0.0, 1.0, 0.0])
    np.testing.assert_array_equal(gp.activation("min").vjp([1.0, 1.0, 3.0], 1.0), [1.0, 0.0, 0.0])
    np.testing.assert_array_equal(gp.activation("maxabs").vjp([-3.0, 3.0], 1.0), [1.0, 0.0])
    assert gp.activation("maxabs").value([1.0, -3.0, 2.0]) == -3.0
    np.testing.assert_array_equal(gp.activation("median").vjp([4.0, 1.0, 2.0, 9.0], 1.0), [0.5, 0.0, 0.5, 0.0])


def test_parameters_are_fixed_numbers() -> None:
    leaky = gp.activation("leaky_relu", slope=0.2)
    assert leaky.value(-1.0) == -0.2
    assert leaky.vjp(-1.0, 1.0) == 0.2
    assert leaky != gp.activation("leaky_relu")
    assert "slope=0.2" in repr(leaky)
    assert pickle.loads(pickle.dumps(leaky)) == leaky
    with pytest.raises(gp.UnknownNameError, match="unknown parameter 'slop'; did you mean 'slope'"):
        gp.activation("leaky_relu", slop=0.2)


@pytest.mark.parametrize("f", TABLE, ids=by_name)
def test_pickling_keeps_the_entry_of_the_table(f: gp.Activation) -> None:
    assert pickle.loads(pickle.dumps(f)) is f


def test_a_wrong_derivative_is_refused_with_the_point_and_both_numbers() -> None:
    with pytest.raises(gp.GraphpropError, match=r"'mine'.* at a = -2\.2 it gives 5, differences of the value give 4"):
        gp.Activation("mine", lambda a: 4 * a, lambda a, o: 5.0)
    wrong = gp.Activation("mine", lambda a: 4 * a, lambda a, o: 5.0, check=False)
    assert wrong.vjp(1.0, 1.0) == 5.0


def test_a_wrong_vector_jacobian_product_is_refused() -> None:
    def value(a: Any) -> Any:
        return np.exp(a) / np.exp(a).sum()

    gp.Activation("softmax", value, lambda a, o, g: o * (g - g @ o), kind="vector")
    with pytest.raises(gp.GraphpropError, match=r"does not match the value: at a = 1\.1 it gives 0\.7, .* give 0$"):
        gp.Activation("softmax", value, lambda a, o, g: o * g, kind="vector")
    with pytest.raises(gp.GraphpropError, match="the value of 2 components has 1"):
        gp.Activation("short", lambda a: a[:1], lambda a, o, g: g, kind="vector")
    with pytest.raises(gp.GraphpropError, match="it raised ZeroDivisionError"):
        gp.Activation("bad", lambda a: 1 / 0, lambda a, o: 0.0)


def test_the_check_keeps_to_the_domain_and_off_the_kinks() -> None:
    gp.Activation("root", math.sqrt, lambda a, o: 0.5 / o, domain=(1e-300, 1e300))
    gp.Activation("logit", lambda a: math.log(a / (1 - a)), lambda a, o: 1 / (a * (1 - a)), domain=(1e-9, 1 - 1e-9))
    gp.Activation("step at 0.6", lambda a: max(a, 0.6), lambda a, o: float(a > 0.6), kinks=(0.6,))


def test_a_wrong_derivative_of_a_small_function_is_refused() -> None:
    with pytest.raises(gp.GraphpropError, match="does not match the value"):
        gp.Activation("small", lambda a: 1e-8 * math.sin(a), lambda a, o: 2e-8 * math.cos(a))
    gp.Activation("far", lambda a: a - 1e10, lambda a, o: 1.0, domain=(1e10, 1e10 + 1))


def test_activations_that_differ_in_anything_are_different() -> None:
    slope = gp.activation("abs").derivative_function
    one, other = (gp.Activation("f", abs, slope, domain=domain, kinks=(0.0,)) for domain in ((0, 1), (-5, 5)))
    assert one != other


def test_a_formula_that_is_another_function_is_refused() -> None:
    with pytest.raises(gp.GraphpropError, match=r"'q': the formula does not match the value: at a = \[-2\.2\]"):
        gp.Activation("q", lambda a: a**3, lambda a, o: 3 * a * a, formula=lambda m, a: a * a)


def test_a_permutation_does_not_pass_for_the_identity() -> None:
    with pytest.raises(gp.GraphpropError, match="does not match the value"):
        gp.Activation("sort", lambda a: np.sort(a), lambda a, o, g: g, kind="vector")


@pytest.mark.parametrize("given", ["x", [1 + 2j], {}, True, None, ["1", "2"], 10**400])
@pytest.mark.parametrize("name", ["tanh", "softmax"])
def test_what_is_no_number_is_refused(name: str, given: Any) -> None:
    f = gp.activation(name)
    for act in (f.value, f.jacobian, lambda a: f.vjp([1.0, 2.0], a)):
        with pytest.raises(gp.GraphpropError):
            act(given)


def test_an_overflow_is_told() -> None:
    with pytest.raises(gp.NumberError, match=r"square\(1e\+200\) is not finite: inf"):
        gp.activation("square").value(1e200)
    with pytest.raises(gp.NumberError, match="product"):
        gp.activation("product").value([1e200, 1e200])


def test_an_activation_is_frozen() -> None:
    with pytest.raises(AttributeError, match="frozen"):
        gp.activation("tanh").name = "other"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": ""}, "the name of an activation"),
        ({"kind": "scalar"}, "kind is"),
        ({"value": 3}, "are functions"),
        ({"domain": (1.0, 1.0)}, "the domain is"),
        ({"parameters": {"s": math.nan}}, "parameter s is nan"),
        ({"parameters": {"s": "a"}}, "parameter s: numbers are needed"),
        ({"parameters": [1]}, "parameters are a mapping"),
        ({"domain": (0,)}, "the domain is"),
        ({"domain": "ab"}, "the domain: numbers"),
        ({"kinks": ["a"]}, "kinks: real numbers"),
        ({"formula": 3}, "the formula is a function"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    given = {"name": "mine", "value": lambda a: a, "derivative": lambda a, o: 1.0} | arguments
    with pytest.raises(gp.GraphpropError, match=message):
        gp.Activation(given.pop("name"), given.pop("value"), given.pop("derivative"), **given)


def test_a_users_activation_works_in_every_form() -> None:
    cube = gp.Activation("cube", lambda a: a**3, lambda a, o: 3 * a * a, formula=lambda m, a: a**3)
    net = gp.Network()
    net.add_input("x")
    net.add_node("h", cube, {"x": 0.5})
    net.add_node("y", cube, {"h": 2.0, "x": 1.0})
    trace = net.forward({"x": 2.0})
    exact = 3 * (2 + 2.0) ** 2 * (2 * 3 * 0.5 + 1)
    for form in ("parents", "children", "paths"):
        assert gp.recursion.backpropagate(net, trace, "y", form=form).input["x"] == exact
    assert gp.recursion.backpropagate(net, trace, "y", numbers=mpmath.mp).input["x"] == exact


@pytest.mark.parametrize("name", [name for name, f in gp.ACTIVATIONS.items() if f.kind != "elementwise"])
@pytest.mark.parametrize("a", [[0.5], [0.25, -1.5, 2.0], [3.0, 3.0, -7.0, 0.0]])
def test_all_slopes_at_once_are_the_pulls_of_each_output(name: str, a: list[float]) -> None:
    f = gp.ACTIVATIONS[name]
    o = f.outputs(a)
    pulls = [f.pull(a, o, unit) for unit in np.eye(len(o)).tolist()]
    assert f.slopes(a, o).tolist() == pulls  # type: ignore[attr-defined]
