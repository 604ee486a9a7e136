"""What the doctor has to find at each preset of the playground; nothing where it learns."""

from xpnet.playground.settings import PRESETS

FINDINGS = {
    "bias gradients": "parameter-shape-changed",
    "not scaled": "prediction-drift",
    "positive weights": "all-positive-weights",
    "5e-5": "learning-rate-too-small",
    "all four": "parameter-shape-changed",
    "targets (6,)": "target-shape",
    "errors summed": "gradient-wrong",
    "wrong sign": "gradient-sign",
    "Dead": "dead-units",
    "vanishing": "vanishing-gradient",
    "Too high": "learning-rate-too-large",
    "right": None,
    "learns": None,
}
EXPECTED = {name: next(code for part, code in FINDINGS.items() if part in name) for name in PRESETS}
LEARNT = 0.1  # loss
