"""Templates of prototypes, and the elements allowed on each class of sites."""

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from cgatjax.errors import InputError, MismatchError, StructureError
from cgatjax.inference.predictor import Predictor
from cgatjax.model.model import Model
from cgatjax.screening.assignments import Assignments, elements_of
from cgatjax.screening.built_in_prototypes import SOURCE, split_prototypes, template_of
from cgatjax.screening.templates import Classes, Template
from cgatjax.structures.crystal import Rejected
from cgatjax.structures.elements import SYMBOLS
from cgatjax.structures.readers import read_crystals

Elements = Mapping[str, Sequence[str] | Literal["all"]]
"""Site class (name, number from 1, or "*" for all others) -> element symbols, or "all"."""


def templates_of(
    predictor: Predictor, inputs: Any, elements: Elements, by: Classes
) -> list[tuple[Template, Assignments]]:
    """Make the templates of prototypes, with the assignments of elements to their site classes.

    Raises:
      StructureError: a prototype cannot be used.
      InputError: unknown elements or site classes, or two prototypes with the same id.
      MismatchError: an element has no vector in the element table.
    """
    types, others = split_prototypes(inputs)
    templates, seen = [template_of(t, predictor.graph_config, by) for t in types], set[str]()
    seen |= {template.crystal.id for template in templates}
    for item in read_crystals(others) if others is not None else ():
        if isinstance(item, Rejected):
            raise StructureError(
                f"prototype {item.id or item.source!r}: expected an ordered crystal: {item.reason};"
                " correct it or leave it out"
            )
        if item.id in seen:
            raise InputError(f"two prototypes have the id {item.id!r}; give them different ids")
        seen.add(item.id)
        templates.append(Template.of(item, predictor.graph_config, by))
    pools = _pools(templates, elements, predictor.model)
    return [(t, Assignments(pool)) for t, pool in zip(templates, pools, strict=True)]


def _pools(
    templates: Sequence[Template], elements: Elements, model: Model
) -> list[tuple[tuple[int, ...], ...]]:
    known = tuple(np.flatnonzero(model.element_table.known).tolist())
    lists = {name: known if v == "all" else elements_of(v) for name, v in elements.items()}
    missing = model.element_table.missing(np.array([*itertools.chain(*lists.values())]))
    if missing:
        raise MismatchError(
            f"the element table {model.element_table.name!r} has no vector for {missing}; remove "
            "these elements from the lists"
        )
    used: set[str] = set()
    pools = []
    for template in templates:
        pool = []
        for number, name in enumerate(template.classes, 1):
            key = next((k for k in (name, str(number), "*") if k in lists), None)
            used |= {key} if key else set()
            if key is None and template.crystal.source == SOURCE:
                raise InputError(
                    f"{template.crystal.id}: expected elements for each of its classes of sites "
                    f"{', '.join(template.classes)}, got none for {name}"
                )
            own = (int(template.own[number - 1]),)
            pool.append(lists[key] if key else own)
        pools.append(tuple(pool))
    unused = sorted(set(lists) - used)
    if unused:
        found = sorted({name for t in templates for name in t.classes})
        raise InputError(
            f"expected a site class, one of {found}, its number from 1, or '*' for all others; "
            f"got {unused[0]!r}"
        )
    everything = sorted({z for pool in pools for choices in pool for z in choices})
    if absent := model.element_table.missing(np.array(everything)):
        raise MismatchError(
            f"the element table {model.element_table.name!r} has no vector for {absent} of a "
            "prototype; assign other elements to their site class"
        )
    return pools


def templates_digest(templates: Sequence[tuple[Template, Assignments]]) -> str:
    """Hash templates and lists of elements."""
    digest = hashlib.sha256()
    for template, assignments in templates:
        elements = [[SYMBOLS[z] for z in pool] for pool in assignments.pools]
        digest.update(repr((template.crystal.id, template.classes, elements)).encode())
        graph = template.graph
        nodes = (template.node_class, template.counts, graph.node_multiplicity)
        for values in (*nodes, graph.edge_center, graph.edge_neighbor, graph.edge_shell):
            digest.update(np.ascontiguousarray(values, np.int64).data)
        digest.update(np.ascontiguousarray(graph.edge_weight).data)
    return digest.hexdigest()[:16]
