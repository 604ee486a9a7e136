"""scikit-learn's own tests and checks, on xpnet's estimators. Each is a process of its own."""

import json
import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SUITE = ROOT / "tests" / "estimators" / "sklearn_suite"
pytestmark = [pytest.mark.process, pytest.mark.untraced]
AS_COUNTED = version("scikit-learn") == "1.9.1"  # other versions may have more or fewer


def run(arguments, folder, **environment):
    """Run a program with one thread: threads of BLAS that wait take as much time as they are.

    scikit-learn sets as many as there are processors for each worker of pytest-xdist.
    """
    path = os.pathsep.join([str(SUITE), str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    environment |= {"PYTEST_XDIST_WORKER_COUNT": str(os.cpu_count())}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=900,
    )


def test_scikit_learns_own_tests_of_its_mlp_pass_with_these_classes(tmp_path):
    plugins = ["-p", "xpnet_for_sklearn", "-p", "no:cacheprovider"]
    place = ["-c", os.devnull, "--rootdir", str(tmp_path)]
    tests = ["--pyargs", "sklearn.neural_network.tests.test_mlp"]
    done = run(["-m", "pytest", "-q", *plugins, *place, *tests], tmp_path)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    passed = int(re.search(r"(\d+) passed", done.stdout)[1])
    assert passed == 59 or not AS_COUNTED
    assert not re.search(r"skipped|xfailed|deselected", done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def checks(tmp_path_factory):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    pytest.importorskip("array_api_strict", reason="array-api-strict is not installed")
    done = run(
        [str(SUITE / "estimator_checks.py")], tmp_path_factory.mktemp("checks"), SCIPY_ARRAY_API="1"
    )
    assert done.returncode == 0, done.stderr[-5000:]
    return json.loads(done.stdout)


def test_check_estimator_finds_no_failure_and_none_is_expected(checks):
    bad = [each for each in checks if each["status"] not in ("passed", "skipped")]
    assert bad == []
    skipped = {each["check"] for each in checks if each["status"] == "skipped"}
    assert skipped <= {
        "check_array_api_input",
        "check_array_api_mixed_inputs",
        "check_classifiers_multilabel_output_format_decision_function",  # there is none
    }
    assert {each["estimator"] for each in checks} == {"MLPClassifier", "MLPRegressor"}


@pytest.mark.parametrize("estimator", ["MLPClassifier", "MLPRegressor"])
def test_the_array_api_checks_are_in_place_and_only_hardware_skips_one(checks, estimator):
    of_arrays = [
        each
        for each in checks
        if each["check"].startswith("check_array_api") and each["estimator"] == estimator
    ]
    assert len(of_arrays) == 21 or not AS_COUNTED
    skipped = [each["reason"] for each in of_arrays if each["status"] == "skipped"]
    assert all(re.search("cuda|cupy|XPU|MPS|dpnp", reason) for reason in skipped)
    assert len(of_arrays) - len(skipped) >= 7 or not AS_COUNTED


@pytest.mark.parametrize("estimator", ["MLPClassifier", "MLPRegressor"])
def test_other_libraries_arrays_give_the_values_that_numpy_gives(checks, estimator):
    passed = {each["check"] for each in checks if each["estimator"] == estimator}
    assert {"values from array_api_strict", "values from torch"} <= passed
