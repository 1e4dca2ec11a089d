import numpy as np

from cgatjax.synthetic.decorations import (
    ANION_CONTACT,
    CONTACT_RANGE,
    MOST_DECORATIONS,
    decorate,
    has_plausible_contacts,
    neutral_decorations,
    population,
    relax,
)
from cgatjax.synthetic.ions import ion_table
from cgatjax.synthetic.prototypes import find_prototype

CHARGE = np.array([ion.charge for ion in ion_table()])


def test_all_neutral_decorations_of_rocksalt():
    found = neutral_decorations(find_prototype("rocksalt"))
    cations, anions = (np.bincount(np.abs(CHARGE[CHARGE * sign > 0])) for sign in (1, -1))
    assert len(found) == sum(cations[q] * anions[q] for q in (1, 2, 3))
    assert (CHARGE[found].sum(axis=1) == 0).all()


def test_permuted_equivalent_roles_are_one_decoration():
    found = neutral_decorations(find_prototype("half-heusler"))
    assert len(np.unique(np.sort(found, axis=1), axis=0)) == len(found)


def test_the_population_is_neutral_distinct_and_exothermic():
    for block in population():
        assert 0 < len(block) <= MOST_DECORATIONS
        assert (CHARGE[block.ions] @ block.prototype.role_counts == 0).all()
        assert len(np.unique(block.atomic_numbers, axis=0)) == len(block)
        assert (block.e_form["low"] < 0).all()
        assert has_plausible_contacts(block.prototype, block.ions, block.scale).all()


def test_high_fidelity_crystals_have_not_collapsed():
    for block in population():
        ratio = block.volume["high"] / block.volume["low"]
        assert ratio.min() > 0.7
        assert ratio.max() < 1.2


def test_the_lowest_of_several_charge_assignments_is_kept():
    rutile = find_prototype("rutile")
    element = np.array([ion.atomic_number for ion in ion_table()])
    every = neutral_decorations(find_prototype("ilmenite"))
    block = next(b for b in population() if b.prototype.name == "ilmenite")
    scale, e_form = relax(block.prototype, every, "low")
    fits = has_plausible_contacts(block.prototype, every, scale) & (e_form < 0)
    ambiguous = 0
    for elements, kept in zip(block.atomic_numbers[:100], block.e_form["low"], strict=False):
        rivals = fits & (element[every] == elements).all(axis=1)
        ambiguous += rivals.sum() > 1
        assert abs(kept - e_form[rivals].min()) < 1e-9
    assert ambiguous > 0
    formulas = [block.formula(k) for block in [decorate(rutile)] for k in range(len(block))]
    assert formulas.count("TiO2") == 1


def test_contacts_are_compared_with_the_radii():
    rocksalt = find_prototype("rocksalt")
    radius = np.array([ion.radius for ion in ion_table()])
    labels = {ion.label: k for k, ion in enumerate(ion_table())}
    ions = np.array([[labels["Na1+"], labels["Cl1-"]]] * 3)
    contact = 2 * radius[ions[0]].sum()
    scale = contact * np.array([CONTACT_RANGE[0] - 0.01, 1.0, CONTACT_RANGE[1] + 0.01])
    np.testing.assert_array_equal(
        has_plausible_contacts(rocksalt, ions, scale), [False, True, False]
    )
    # Lithium between iodides, which touch each other first.
    ions = np.array([[labels["Li1+"], labels["I1-"]]])
    scale = np.array([2 * ANION_CONTACT * radius[ions[0, 1]] * np.sqrt(2)])
    assert not has_plausible_contacts(rocksalt, ions, scale - 0.01)[0]
