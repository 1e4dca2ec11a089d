"""Numbers in sentences: each is computed from the stored results, like those of the tables.

A row of `SENTENCES` is the text before and after the numbers, and what computes them, in their
order.
"""

from collections.abc import Callable, Sequence

import pytest
from experiments.table1 import PAPER
from tests import doc_values as of
from tests.doc_tables import check_text, measured, stored

from cgatjax.config import GraphConfig, TrainConfig
from cgatjax.runtime.distributed import HEARTBEAT_SECONDS

PERFORMANCE, SCALING, GUIDES = "docs/performance.md", "docs/scaling.md", "docs/guides"
RECIPE, PRETRAINED = "docs/results/recipe.md", "docs/results/pretrained.md"
STUDY, SIMPLE = "docs/results/study.md", "docs/results/simple_answers.md"
CALIBRATION, RELIABILITY = "docs/results/uncertainty.md", "docs/reliability.md"
POTENTIAL, SOURCE = "A potential as the low-fidelity", "The source model as the low-fidelity"

Sentence = tuple[str, str, Callable[[], Sequence[float]]]
SENTENCES: dict[tuple[str, str], list[Sentence]] = {
    (PERFORMANCE, "Comparison with the released code"): [
        ("torch-scatter) took ", " s at paper size; compared", of.older_times),
    ],
    (PERFORMANCE, "On a GPU"): [
        ("one batch of ", " edges), plain", of.batch_of_the_accelerator),
        ("can save. At ", " crystals/s", lambda: [of.rate_of_pretraining()]),
        ("1.8 million crystals, takes ", " hours", lambda: [of.hours_of(of.rate_of_pretraining())]),
        ("Peak memory was ", " GiB", lambda: [of.accelerator("float32")["peak"]]),
    ],
    (PERFORMANCE, "Fused kernels on GPUs"): [("At batch ", " ms. Two", of.operands_and_products)],
    (PERFORMANCE, "Screening"): [
        ("three nodes and ", " merged edges", lambda: [measured("screening_small")["edges"]]),
    ],
    (PERFORMANCE, "Featurization and"): [("batches ", " crystals, by", of.measured_crystals)],
    (RELIABILITY, "Data larger than memory"): [
        ("repeats a store (", " real crystals)", lambda: of.measured_crystals()[2:]),
    ],
    (RELIABILITY, "Non-finite losses and gradients"): [
        ("`max_bad_steps` (", ")", lambda: [TrainConfig().max_bad_steps]),
    ],
    (SCALING, "Loss of a process"): [("After ", " seconds", lambda: [HEARTBEAT_SECONDS])],
    (SCALING, "Communication"): [
        ("one all-reduce, of ", " MB", lambda: [of.bytes_of("small") / 1e6]),
        ("with `released`, ", " s. Larger", of.longest_steps),
    ],
    ("docs/concepts/graph.md", "Shells instead of distances"): [
        ("connected to its K = ", " nearest", lambda: [GraphConfig().max_neighbors]),
    ],
    ("docs/concepts/graph.md", "The quotient graph"): [
        ("sites to nodes. On ", " % with the released", of.crystals_and_rest),
    ],
    ("docs/concepts/network.md", "Presets"): [
        ("standard deviation of ", ") that all", lambda: [of.matscholar_deviation()]),
    ],
    ("docs/concepts/difference.md", "How much it brings"): [
        ("needs no DFT: ", " meV/atom", lambda: [of.mean_on_the_potential()[1]]),
    ],
    ("docs/differences.md", "Training"): [
        ("`plateau_factor` ", ". Test", lambda: [TrainConfig().plateau_factor]),
    ],
    ("docs/differences.md", "Transfer"): [
        ("study's formation energies (", " standard deviations", of.kept_normalizer),
    ],
    ("docs/table1.md", "With the paper's data"): [
        ("a pre-training takes ", " / R", lambda: [of.hours_of(1.0) * 3600]),
        ("trains on ", " crystals/s", lambda: [of.rate_on_two_cores()]),
        ("which would take ", " days", lambda: [of.hours_of(of.rate_on_two_cores()) / 24]),
    ],
    ("docs/invariances.md", ""): [
        ("can detect: ", " real crystals", lambda: [measured("invariances_real")["crystals"]]),
    ],
    ("docs/data.md", "Pairs"): [
        ("the graph finds half: of the ", " crystals of", lambda: of.pairs_of_volumes()[:1]),
        ("(table1.md#the-readmes-table)), the ", " pairs by id", lambda: of.pairs_of_volumes()[1:]),
    ],
    (f"{GUIDES}/screening.md", "Speed"): [
        ("`released` screened only ", " candidates", lambda: [of.screened("released")]),
    ],
    (f"{GUIDES}/active_learning.md", "Does it help?"): [
        ("often mislabeled (", " % of the candidates", of.mislabeled),
    ],
    (RECIPE, "From scratch on 1,000 crystals"): [
        ("numbers have a standard deviation of ", ", and", lambda: [of.matscholar_deviation()]),
        ("which gain ", " meV/atom with", of.gains_from_scratch),
    ],
    (RECIPE, "Pre-training on 15,152 PBE"): [
        ("(`--schedule cosine`). ", " steps. With this", of.runs_with_both_vectors),
        ("more crystals do: with all ", " crystals ([models]", of.more_crystals),
    ],
    (RECIPE, "Fine-tuning at several sizes"): [("Of the ", " % worse", of.further_ways)],
    (PRETRAINED, "What each training brought"): [
        ("potential (CHGNet) for ", "; 5,500", of.crystals_of_the_stages),
        ("a validation MAE of ", " crystals): one run", of.errors_of_the_stages),
    ],
    (PRETRAINED, "A potential alone as the start"): [
        (", against N^", " for PBE", lambda: [of.slope_of_pretraining()]),
    ],
    (STUDY, ""): [
        ("(../experiments.md)): ", " PBE crystals", lambda: [of.data_set("pbe", "crystals")]),
    ],
    (STUDY, "Error against training crystals"): [
        ("PBE crystals with an error of ", " meV/atom: the", lambda: [of.of_study("pre-training")]),
        ("1.8 million reach ", ", and then", lambda: [PAPER[of.PAPER_ENERGY][0]]),
    ],
    (STUDY, "Allocation of computing time"): [
        ("as long as there are fewer than ", "); here there", of.preferred_ratio),
    ],
    (STUDY, "Ablations"): [
        ("changes are at most ", " % could be detected", of.detectable_changes),
        ("the robust loss (", " %) looked", of.changes_of_the_first_seed),
        ("between 10^-3 and 3 x 10^-4, has ", " for full", lambda: [of.of_study("full")]),
        ("delta learning lowers the error to ", ". It needs", lambda: [of.delta_learning()]),
    ],
    (SIMPLE, POTENTIAL): [
        ("nearly all of them. ", " test crystals have", of.labeled_test_crystals),
        ("weights of the mean are ", " for the values", lambda: of.mean_on_the_potential()[0]),
        ("the best there is: ", " cubic", lambda: of.perovskites("crystals")[:1]),
        ("9034 (2012)), ", " of them", lambda: of.perovskites("training crystals")[:1]),
        ("of the elements CHGNet errs by ", " (five", of.errors_of_perovskites),
    ],
    (SIMPLE, SOURCE): [("take seconds and have ", "), the value", of.errors_beside_the_source)],
    (CALIBRATION, ""): [
        ("918 validation and ", " test crystals", lambda: [len(stored("calibration.csv"))]),
        ("better than one network (", " eV/atom)", of.mean_absolute_errors),
        ("ensemble's area becomes ", "). No factor", of.factors),
        (
            "as well as one network (",
            " eV/atom)",
            lambda: of.calibrated(of.PROCESS, "MAE"),
        ),
        ("without a factor (area ", "), but", lambda: of.calibrated(of.PROCESS, "area")),
        ("The errors of the last group are ", " times", of.last_group_over_first),
    ],
    ("docs/results/active_learning.md", ""): [
        ("Set-up. ", " OptB88vdW crystals", of.candidates_of_active_learning),
    ],
}


@pytest.mark.parametrize(
    ("page", "heading", "begin", "end", "values"),
    [(*where, *sentence) for where, sentences in SENTENCES.items() for sentence in sentences],
)
def test_a_sentence(
    page: str, heading: str, begin: str, end: str, values: Callable[[], Sequence[float]]
) -> None:
    check_text(page, heading, begin, end, values())


def test_a_changed_number_is_noticed() -> None:
    """Two parts in a hundred are enough."""
    changed = [1.02 * value for value in of.operands_and_products()]
    with pytest.raises(AssertionError):
        check_text(PERFORMANCE, "Fused kernels on GPUs", "At batch ", " ms. Two", changed)
