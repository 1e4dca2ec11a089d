"""Values that sentences of the docs quote: each function computes those of one sentence."""

import json
import re
from statistics import fmean, stdev

import numpy as np
from benchmarks.projection import EPOCHS, RUNS, TRAIN_FRACTION
from tests.doc_tables import RESULTS, measured, picked, rows_of, stored
from tests.test_doc_measurements import LINKS, law_of_both_sizes, laws, trained_parameters
from tests.test_doc_numbers import MEV, TARGETS, errors

from cgatjax.analysis.seeds import SeedSpread
from cgatjax.inference.calibration import binned
from cgatjax.pretrained.locations import CARD, SHIPPED
from cgatjax.structures.elements import ElementTable

OPTB, R2SCAN, _, GAP, _ = (name for name, _ in TARGETS.values())
SEEDS = ("seed 0", "seed 1", "seed 2")
ENSEMBLE, PROCESS = "ensemble, spread and aleatoric", "Gaussian process, Matern"
PAPER_ENERGY = ("formation energy (meV/atom)", "SCAN")


def accelerator(precision: str) -> dict[str, float]:
    """Return the measurements of a step on a GPU, with the rates of products and copies."""
    found = json.loads((RESULTS / "accelerator_h200.json").read_text())
    [step] = [r for r in found["results"] if (r["precision"], r["kind"]) == (precision, "step")]
    rates = {"products": found["rates"][precision], "copies": found["rates"]["bytes"]}
    return step | rates | {"peak": found["peak_memory_gib"]}


def batch_of_the_accelerator() -> list[float]:
    """Return crystals, nodes and edges."""
    text = json.loads((RESULTS / "accelerator_h200.json").read_text())["batch"]
    numbers = [float(number) for number in re.findall(r"\d+", text)]
    return [numbers[k] for k in (0, 1, 3)]


def operands_and_products() -> list[float]:
    """Return the GB of operands, the ms of copying them, and of the products, by precision."""
    steps = [accelerator(precision) for precision in ("tf32", "bfloat16")]
    moved = [step["traffic_bytes"] for step in steps]
    copies = [1e3 * step["traffic_bytes"] / step["copies"] for step in steps]
    products = [1e3 * step["flops"] / step["products"] for step in steps]
    return [batch_of_the_accelerator()[0], *(n / 1e9 for n in moved), *copies, *products]


def older_times() -> list[float]:
    """Return the seconds of an older reference: forward passes and steps at both sizes."""
    found = {
        (r["size"], r["quantity"]): [float(r[f"{end} seconds"]) for end in ("fastest", "slowest")]
        for r in stored("speed/older_reference.csv")
    }
    paper = [found["paper", quantity][0] for quantity in ("forward", "step")]
    return [found["released", "forward"][0], *found["released", "step"], *paper]


def rate_of_pretraining() -> float:
    """Return the crystals per second of a step in bfloat16 on the GPU."""
    return accelerator("bfloat16")["crystals_per_second"]


def hours_of(rate: float) -> float:
    """Return the hours of the paper's training steps at so many crystals per second."""
    return EPOCHS * TRAIN_FRACTION * RUNS["pre-training, PBE"][0] / rate / 3600


def rate_on_two_cores() -> float:
    """Return the crystals per second of a training step of the paper's network."""
    rows = {r["quantity"]: float(r["paper size, 32 crystals"]) for r in stored("speed/network.csv")}
    return 1e3 * rows["crystals"] / rows["step, ms"]


def bytes_of(preset: str) -> int:
    """Return the bytes that a step of the whole network sums over all devices."""
    return 4 * trained_parameters(preset)["full"] + 20


def longest_steps() -> list[float]:
    """Return nine times the milliseconds of communication: two links and, in s, the slowest."""
    found = []
    for preset in ("released", "paper"):
        times = [9 * 1.75e3 * bytes_of(preset) / speed for speed in LINKS.values()]
        found += [*times[:2], times[2] / 1e3]
    return found


def left(options: str) -> list[float]:
    """Return the percentages of nodes and edges that the reduction leaves."""
    return [100 * measured("featurize")[options][f"{kind}_left"] for kind in ("nodes", "edges")]


def measured_crystals() -> list[float]:
    """Return the crystals of the benchmarks: featurized, with their mean sites, and assembled."""
    graphs, batches = measured("featurize"), measured("assemble")
    return [graphs["structures"], graphs["mean_sites"], batches["given"]["crystals"]]


def crystals_and_rest() -> list[float]:
    """Return the number of crystals, and what the reduction leaves of them by both options."""
    return [measured_crystals()[0], *left("recommended"), *left("released")]


def screened(size: str) -> float:
    """Return the candidates that `screen` took in its benchmark."""
    return measured(f"screening_{size}")[size]["screen"]["candidates"]


def matscholar_deviation() -> float:
    """Return the standard deviation of the published element vectors."""
    table = ElementTable.matscholar()
    return float(table.vectors[table.known].std())


def mislabeled() -> list[float]:
    """Return the shares of large differences: chosen by uncertainty, and at random."""
    column = "share more than 0.3 eV/atom apart, %"
    share = {r["acquisition"]: r[column] for r in stored("local/active_learning/chosen.csv")}
    return [float(share[by]) for by in ("uncertainty", "random")]


def crystals_of_the_stages() -> list[float]:
    """Return the crystals of both stages of the shipped models, the potential's first."""
    data = json.loads((SHIPPED / "mp-small" / CARD).read_text())["data"]
    names = ("Materials Project, CHGNet", "Materials Project, PBE")
    return [next(d["crystals"] for d in data if d["name"] == name) for name in names]


def runs_with_both_vectors() -> list[float]:
    """Return steps, batch and rate, then errors and best steps of both seeds."""
    first, second = stored("recipe_long.csv")[:2]
    run = [float(first[column]) for column in ("steps", "batch", "peak rate")]
    both = [float(row[column]) for column in ("valid MAE", "best step") for row in (first, second)]
    return run + both


def runs_on_more_data() -> list[list[float]]:
    """Return crystals, steps and batch of the runs on all PBE crystals, and the errors."""
    rows = stored("recipe_long.csv")[2:]
    run = [float(rows[0][column]) for column in ("crystals", "steps", "batch")]
    return [run, [float(row["valid MAE"]) for row in rows]]


def more_crystals() -> list[float]:
    """Return crystals, steps, batch and both errors, and the crystals of the potential."""
    run, errors = runs_on_more_data()
    return [*run, *errors, crystals_of_the_stages()[0]]


def errors_of_the_stages() -> list[float]:
    """Return the errors without and with the first stage, and the steps and batch of both."""
    run, errors = runs_on_more_data()
    return [*errors, *run[1:]]


def gains_from_scratch() -> list[float]:
    """Return the gains of the two changes of the periodic recipe that help, the smaller first."""
    rows = {r["changed"]: fmean(float(r[s]) for s in SEEDS) for r in stored("recipe.csv")}
    changes = ("LayerNorm of node states", "head without ReZero")
    return sorted(rows["periodic (one-hot)"] - rows[changed] for changed in changes)


def slope_of_pretraining() -> float:
    """Return the slope of full transfer against PBE crystals."""
    return laws("pretraining_size", "n_pretrain")["full transfer"].slope_estimate.value


def further_ways() -> list[float]:
    """Return number, gains and losses in percent of the ways that were compared with `full`."""
    sets: dict[tuple[str, str], dict[str, list[list[float]]]] = {}
    for row in stored("recipe_fine_tuning.csv"):
        ways = sets.setdefault((row["property"], row["crystals"]), {})
        ways.setdefault(row["way"], []).append([float(row[s]) for s in SEEDS if row[s]])
    changes = {}
    for where, ways in sets.items():
        best = {way: min(found, key=lambda values: values[0]) for way, found in ways.items()}
        for way in best.keys() - {"full", "head"}:
            changes[where, way] = 100 * (best[way][0] / best["full"][0] - 1)
            if (*where, way) == (R2SCAN, "626", "head, then all"):
                more = [a - b for a, b in zip(best[way], best["full"], strict=True)]
    gains = sorted(change for change in changes.values() if change < 0)
    losses = [change for change in changes.values() if change >= 0]
    large, small = gains
    assert changes[(R2SCAN, "626"), "head, then all"] == large
    assert changes[(OPTB, "100"), "LoRA"] == small
    [data] = picked(stored("local/data_report/table_0.csv"), **{"data set": "r2scan_eform"})
    valid = int(data["crystals"]) - 626 - 78
    seeds = [fmean(more), stdev(more) / 3**0.5]
    return [len(changes), 100, -small, -large, *seeds, valid, min(losses), max(losses)]


NOT_OF_THE_NETWORK = ("encoder", "delta")


def detectable_changes() -> list[float]:
    """Return the largest change by an option of network, graphs or loss, and interval widths."""
    rows, changes, widths = rows_of("ablations"), [], []
    for way in ("pre-training", "full"):
        found = {n: errors(rows, MEV, variant=n, way=way) for n in {r["variant"] for r in rows}}
        found = {name: values for name, values in found.items() if values}
        spread = SeedSpread.of(found.values())
        for name, values in found.items():
            if name != "standard" and not name.startswith(NOT_OF_THE_NETWORK):
                change = spread.compare(values, found["standard"])
                changes.append(100 * abs(change.change))
                widths.append(50 * (change.high - change.low))
    return [max(changes), min(widths), max(widths)]


def changes_of_the_first_seed() -> list[float]:
    """Return the changes of pre-training by the robust loss and by edges by attention, in %."""
    rows = picked(rows_of("ablations"), way="pre-training", seed="0")
    error = {row["variant"]: float(row["test_mae"]) for row in rows}
    variants = ("robust loss", "edges by attention (paper)")
    return [100 * (error[variant] / error["standard"] - 1) for variant in variants]


def delta_learning() -> float:
    """Return the lower error of delta learning with and without pre-training."""
    rows = rows_of("ablations")
    variants = ("delta learning", "delta learning, from scratch")
    return min(fmean(errors(rows, MEV, variant=name, way="full")) for name in variants)


def of_study(way: str) -> float:
    """Return the mean error of the OptB88vdW energies, or of the pre-training for them."""
    return fmean(errors(rows_of("table1"), MEV, targets=OPTB, way=way))


def preferred_ratio() -> list[float]:
    """Return the low-fidelity crystals for each high-fidelity one up to which more of them pay."""
    law = law_of_both_sizes()
    slopes = [abs(law.pretrain_slope.value), abs(law.train_slope.value)]
    return [5 * slopes[0] / slopes[1], 5, *slopes]


def best(name: str, learns: str = "value", mode: str = "full") -> float:
    """Return the test error of a transfer from `mp-small` to the largest training set."""
    rows = picked(rows_of("pretrained_transfers"), model="mp-small", property=name)
    rows = picked(rows, learns=learns, mode=mode)
    return float(max(rows, key=lambda r: int(r["training crystals"]))["test MAE"])


def mean_on_the_potential() -> tuple[list[float], float]:
    """Return the weights of the mean, networks first, the values themselves last; its error."""
    rows = picked(rows_of("pretrained_transfers"), learns="difference to e-form_chgnet")
    [row] = [r for r in rows if r["mode"][0].isdigit()]
    terms = [term.split(" ", 1) for term in row["mode"].split(" + ")]
    order = ("full", "gp", "trees", "value")
    terms.sort(key=lambda term: next(k for k, way in enumerate(order) if term[1].startswith(way)))
    return [float(weight) for weight, _ in terms], float(row["test MAE"])


def labeled_test_crystals() -> list[float]:
    """Return the test crystals with an energy of the potential, and all."""
    every = picked(rows_of("pretrained_transfers"), property=OPTB)
    rows = picked(every, learns="difference to e-form_chgnet")
    return [float(chosen[0]["test crystals"]) for chosen in (rows, picked(every, learns="value"))]


def perovskites(column: str) -> list[float]:
    """Return a column of the answers for crystals that the potential can hardly have seen."""
    return [float(row[column]) for row in stored("potential_perovskites.csv")]


def errors_of_perovskites() -> list[float]:
    """Return errors and spreads in turn."""
    both = zip(perovskites("test MAE"), perovskites("std over splits"), strict=True)
    return [number for pair in both for number in pair]


def errors_beside_the_source() -> list[float]:
    """Return the error of trees that correct the model, and three of full transfer."""
    trees = best(OPTB, "difference to the source", "trees")
    return [trees, *(best(name) for name in (OPTB, GAP, R2SCAN))]


def calibrated(label: str, *columns: str) -> list[float]:
    [row] = [r for r in stored("uncertainty.csv") if r["standard deviation"].startswith(label)]
    return [float(row[column]) for column in columns]


def mean_absolute_errors() -> list[float]:
    """Return the errors of the ensemble and of one network."""
    return calibrated(ENSEMBLE, "MAE") + calibrated("aleatoric, one network", "MAE")


def factors() -> list[float]:
    """Return area and NLL of the ensemble after each of the two factors."""
    return calibrated(
        ENSEMBLE, "area by likelihood", "area", "NLL", "NLL by likelihood", "area by area",
        "NLL by area",
    )  # fmt: skip


def last_group_over_first() -> list[float]:
    """Return the ratio of the errors of the crystals with the largest and smallest deviations."""
    value, mean, std = (
        np.array([float(row[k]) for row in stored("calibration.csv")])
        for k in ("value", "mean", "std")
    )
    errors = binned(mean - value, std).rmse
    return [errors[-1] / errors[0]]


def pairs_of_volumes() -> list[float]:
    """Return the crystals with r2SCAN volumes, and those paired by id."""
    pattern = r"r2scan_volume.store: (\d+) crystals with volume, (\d+) of"
    found = re.search(pattern, (RESULTS / "pairs.txt").read_text())
    assert found
    return [float(number) for number in found.groups()]


def data_set(name: str, column: str) -> float:
    """Return a number of the report on the study's data."""
    [row] = picked(stored("local/data_report/table_0.csv"), **{"data set": name})
    return float(row[column].replace(",", ""))


def kept_normalizer() -> list[float]:
    """Return mean and deviation of PBE energies, and of volumes in their unit."""
    rows = picked(stored("local/data_report/table_1.csv"), **{"data set": "pbe"})
    energy, volume = ([float(r["mean"]), float(r["std"])] for r in rows[:2])
    return [*energy, (volume[0] - energy[0]) / energy[1], volume[1] / energy[1]]


def candidates_of_active_learning() -> list[float]:
    """Return the training set (known values less 918 validation and 916 test crystals), and all."""
    [row] = picked(
        stored("local/data_report/table_1.csv"),
        **{"data set": "optb88vdw", "property": "e-form (eV/atom)"},
    )
    return [float(row["known"].replace(",", "")) - 918 - 916, data_set("optb88vdw", "crystals")]
