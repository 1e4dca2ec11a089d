"""Processes, disks and devices: signals, progress, atomic writes, device mapping."""

from cgatjax.runtime.files import MANIFEST as MANIFEST
from cgatjax.runtime.files import PARSE_ERRORS as PARSE_ERRORS
from cgatjax.runtime.files import PART as PART
from cgatjax.runtime.files import complete_folder as complete_folder
from cgatjax.runtime.files import csv_bytes as csv_bytes
from cgatjax.runtime.files import damage as damage
from cgatjax.runtime.files import new_folder as new_folder
from cgatjax.runtime.files import reading as reading
from cgatjax.runtime.files import recovered as recovered
from cgatjax.runtime.files import remove_leftovers as remove_leftovers
from cgatjax.runtime.files import replacing as replacing
from cgatjax.runtime.files import require_new as require_new
from cgatjax.runtime.files import sha256_of as sha256_of
from cgatjax.runtime.files import write_csv as write_csv
from cgatjax.runtime.files import write_durably as write_durably
from cgatjax.runtime.files import writing as writing
from cgatjax.runtime.signals import StopRequest as StopRequest
from cgatjax.runtime.signals import exit_on_interrupt as exit_on_interrupt
from cgatjax.runtime.signals import stop_requests as stop_requests
from cgatjax.runtime.text_tables import SHOWN_ROWS as SHOWN_ROWS
from cgatjax.runtime.text_tables import fields as fields
from cgatjax.runtime.text_tables import preview as preview
from cgatjax.runtime.text_tables import table as table
