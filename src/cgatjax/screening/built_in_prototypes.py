"""Structure types of the synthetic crystals as prototypes of a screening, by name."""

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from cgatjax.config import GraphConfig
from cgatjax.screening.templates import Classes, Template
from cgatjax.structures.crystal import Crystal
from cgatjax.structures.elements import SYMBOLS, atomic_number
from cgatjax.synthetic.prototypes import Prototype

STAND_INS = {"A": "Sr", "B": "Ti", "C": "Zr", "X": "O", "Y": "F"}
"""Role -> element that stands on its sites until a screening puts others there."""
SOURCE = "structure type"
SHORTEST = 2.2
"""Shortest distance between two sites in angstrom; the cells are not relaxed."""


def split_prototypes(inputs: Any) -> tuple[list[Prototype], Any]:
    """Separate structure types from other inputs of a screening; None if there are no others."""
    if not isinstance(inputs, list | tuple):
        return [], inputs
    types = [item for item in inputs if isinstance(item, Prototype)]
    others: Sequence[Any] = [item for item in inputs if not isinstance(item, Prototype)]
    return types, others or (None if types else inputs)


def template_of(prototype: Prototype, config: GraphConfig, by: Classes) -> Template:
    """Make the template of a structure type, whose classes of sites are its roles A, B, X, ..."""
    stand_ins = np.array([atomic_number(STAND_INS[role]) for role in prototype.roles], np.uint8)
    crystal = Crystal(
        id=prototype.name,
        lattice=prototype.lattice * SHORTEST / prototype.nearest.min(),
        frac_coords=prototype.frac_coords.copy(),
        atomic_numbers=stand_ins[prototype.site_roles],
        source=SOURCE,
    )
    template = Template.of(crystal, config, by)
    role_of = dict(zip((SYMBOLS[z] for z in stand_ins), prototype.roles, strict=True))
    names = (re.fullmatch(r"([A-Z][a-z]?)(\d*)", name) for name in template.classes)
    classes = tuple(role_of[m[1]] + m[2] for m in names if m)
    return dataclasses.replace(template, classes=classes)
