"""Card of the models that tests publish."""

from cgatjax.pretrained.cards import DataSource, ModelCard

LOW = "e-form@low"
CARD = ModelCard(
    name="tiny",
    about="A test.",
    license="MIT",
    targets={LOW: "eV/atom"},
    parameters=1234,
    data=(
        DataSource(
            name="ionic",
            method="point charges",
            targets=(LOW,),
            crystals=96,
            source="generated.",
            license="MIT",
            digest="a" * 64,
        ),
    ),
    split={"train": 96, "valid": 12, "test": 12},
    split_by="formula",
    errors={"test set": {LOW: {"mae": 0.123, "rmse": 0.2, "n": 12}}},
    by_element={LOW: {"Na": {"mae": 0.5, "n": 6}, "K": {"mae": 9.0, "n": 2}}},
    calibration={
        LOW: {
            "factor": 1.25,
            "n": 12,
            "mae": 0.1,
            "nll": -0.5,
            "area": 0.05,
            "sharpness": 0.2,
            "spearman": 0.3,
        }
    },
    storage={LOW: {"mean": 1e-4, "largest": 1e-3}},
    limits=("It is tiny.",),
    not_for=("Anything.",),
    made_by={"command": "pytest"},
)
