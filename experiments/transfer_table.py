"""Errors of no, head-only and full transfer on small accurate data sets, in one table.

    python -m experiments.transfer_table --cheap pbe.store --accurate hse.store scan.store \
        --target e-form --out results/e-form

Stores are made by `cgatjax featurize` with equal graph options. The formulas of every accurate test
part are left out of pre-training; splits are by formula. All ways get the same training crystals,
the same number of steps and the same validation set, keep their best validation epoch, and read
the test part once. Expected (Hoffmann et al. 2023, Table 1, millions of PBE crystals, formation
energy): head-only gains about 10 %, full transfer about 35 % over training from scratch.

A training whose model stands in the folder already is not repeated.
"""

import argparse
import json
import logging
import resource
import time
from pathlib import Path

import cgatjax as cg

MODES = ("none", "head", "full")
LOG = logging.getLogger("cgatjax")


def pretrained(options: argparse.Namespace, cheap: cg.Store, banned: set[str]) -> cg.Model:
    """The model trained on the cheap data without the banned formulas."""
    folder = options.out / "pretrained"
    if (folder / "model").is_dir():
        return cg.load_model(folder)
    split = cheap.make_split(
        (0.9, 0.05, 0.05), by="formula", seed=options.seed, targets=(options.target,)
    )
    parts = [p.select([f not in banned for f in p.formulas]) for p in cheap.apply(split)]
    LOG.info("pre-training on %d crystals, %d for validation", len(parts[0]), len(parts[1]))
    recipe = cg.TrainConfig(epochs=options.pretrain_epochs, seed=options.seed)
    model = cg.init_model(cg.ModelConfig.small(), cheap, target=options.target, seed=options.seed)
    run = cg.RunFolder(folder)
    model, _ = cg.fit(model, *parts[:2], recipe, run=run, show_progress=True)
    run.save_json("test.json", cg.evaluate(model, parts[2]))
    return model


def transferred(
    options: argparse.Namespace, model: cg.Model, store: cg.Store, mode: str
) -> dict[str, object]:
    """One row of the table."""
    split = store.make_split(by="formula", seed=options.seed, targets=(options.target,))
    train, valid, test = store.apply(split)
    train = train.select(range(min(options.train_size, len(train))))
    folder = options.out / f"{store.path.stem}-{mode}"
    began = time.monotonic()
    if (folder / "model").is_dir():
        new = cg.load_model(folder)
    else:
        recipe = cg.TrainConfig(epochs=options.epochs, seed=options.seed)
        config = cg.TransferConfig(mode=mode, target=options.target, train=recipe)
        run = cg.RunFolder(folder)
        new, _ = cg.transfer_model(model, (train, valid), config, run=run, show_progress=True)
    seconds = time.monotonic() - began
    row = {"data": store.path.stem, "mode": mode, "n_train": len(train), "seconds": round(seconds)}
    return row | cg.evaluate(new, test) | {"unit": new.units[options.target]}


def markdown(rows: list[dict[str, object]]) -> str:
    """The table, with the change against no transfer."""
    lines = ["| data | crystals | unit | none | head | full |", "|---|---|---|---|---|---|"]
    for data in dict.fromkeys(row["data"] for row in rows):
        of = {row["mode"]: row for row in rows if row["data"] == data}
        base = of["none"]["mae"]
        cells = [f"{of[m]['mae']:.4f} ({of[m]['mae'] / base - 1:+.0%})" for m in MODES]
        lines.append(
            f"| {data} | {of['none']['n_train']} | {of['none']['unit']} | {' | '.join(cells)} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Reads the options, trains what is missing, and writes `table.md` and `table.json`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cheap", type=Path, required=True, help="store to pre-train on")
    parser.add_argument("--accurate", type=Path, nargs="+", required=True, help="small stores")
    parser.add_argument("--target", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--train-size", type=int, default=1000)
    parser.add_argument("--pretrain-epochs", type=int, default=25)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(message)s")
    LOG.setLevel(logging.INFO)
    options.out.mkdir(parents=True, exist_ok=True)
    stores = [cg.open_store(path) for path in options.accurate]
    tests = [s.split(by="formula", seed=options.seed, targets=(options.target,))[2] for s in stores]
    banned = {formula for test in tests for formula in test.formulas}
    model = pretrained(options, cg.open_store(options.cheap), banned)
    rows = [transferred(options, model, store, mode) for store in stores for mode in MODES]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    (options.out / "table.json").write_text(json.dumps({"rows": rows, "peak_mib": peak}, indent=1))
    (options.out / "table.md").write_text(markdown(rows) + "\n")
    LOG.info("\n%s\npeak memory %.0f MiB", markdown(rows), peak)


if __name__ == "__main__":
    main()
