"""Crystal structures: files of many formats to `Crystal`."""

from cgatjax.structures.crystal import MAX_ATOMIC_NUMBER as MAX_ATOMIC_NUMBER
from cgatjax.structures.crystal import Crystal as Crystal
from cgatjax.structures.crystal import Rejected as Rejected
from cgatjax.structures.crystal import structure_digest as structure_digest
from cgatjax.structures.crystal import to_crystal as to_crystal
from cgatjax.structures.crystal import write_rejected as write_rejected
from cgatjax.structures.elements import SYMBOLS as SYMBOLS
from cgatjax.structures.elements import ElementTable as ElementTable
from cgatjax.structures.elements import atomic_number as atomic_number
from cgatjax.structures.elements import formula_terms as formula_terms
from cgatjax.structures.elements import readable_formula as readable_formula
from cgatjax.structures.elements import reduced_formula as reduced_formula
from cgatjax.structures.properties import CELL_VOLUME as CELL_VOLUME
from cgatjax.structures.properties import check_target_names as check_target_names
from cgatjax.structures.properties import is_number as is_number
from cgatjax.structures.properties import require_no_total as require_no_total
from cgatjax.structures.properties import unit_of as unit_of
