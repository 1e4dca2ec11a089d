"""Common style of figures."""

from cgatjax.plotting.style import colors, new_figure, with_unit


def test_a_notebook_shows_figures_made_without_pyplot():
    figure, panels = new_figure(2.0, 1.0, panels=2)
    assert len(panels) == 2
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_colors_repeat_and_units_are_in_parentheses():
    assert colors(7)[6] == colors(1)[0]
    assert with_unit("error", "eV") == "error (eV)"
    assert with_unit("error", "") == "error"
