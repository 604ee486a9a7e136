"""Scripts run as Python would run them, and however they end, the doctor goes on."""

import json
import os
import sys

import numpy as np
import pytest

from xpnet.doctor.scripts.recording.run import Stopped, run_script
from xpnet.doctor.scripts.recording.source import Script
from xpnet.doctor.scripts.recording.trace import Recorder
from xpnet.errors import FileError, InputError


def run(name, *arguments, is_module=False, **options):
    script = Script(str(name), arguments, is_module)
    return run_script(script, Recorder(), **options)


@pytest.fixture
def script(tmp_path):
    def write(text, name="net.py", encoding="utf-8"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode(encoding))
        return path

    return write


def test_a_script_has_its_own_main_arguments_and_helpers(script, capsys):
    script("def double(x):\n    return 2 * x\n", "helper_beside_it.py")
    path = script(
        "import sys, os, __main__\nfrom helper_beside_it import *\n"
        "assert __name__ == '__main__' and __main__.double is double\n"
        f"print(double(7), os.getcwd() == {os.getcwd()!r}, sys.argv[1:], __file__[-6:])\n"
    )
    here, main = os.getcwd(), sys.modules["__main__"]
    assert run(path, "--lr", "0.1").how == ""
    assert capsys.readouterr().out == "14 True ['--lr', '0.1'] net.py\n"
    assert (os.getcwd(), sys.modules["__main__"]) == (here, main)
    assert "helper_beside_it" not in sys.modules


def test_a_module_of_a_package_runs_with_its_relative_imports(script, capsys, monkeypatch):
    script("", "parcel/__init__.py")
    script("rate = 0.5\n", "parcel/settings.py")
    path = script("from .settings import rate\nprint(rate)\n", "parcel/__main__.py")
    script("from .settings import rate\nprint(rate + 1)\n", "parcel/train.py")
    monkeypatch.chdir(path.parents[1])
    assert run("parcel.train", is_module=True).how == run("parcel", is_module=True).how == ""
    assert capsys.readouterr().out == "1.5\n0.5\n"
    assert run(path).how.endswith("from the folder above its package: -m package.module")
    with pytest.raises(
        FileError, match="No module named 'parcels'; run it from the folder that holds its package"
    ):
        run("parcels.train", is_module=True)


def test_cells_of_a_notebook_run_in_order_without_what_only_ipython_knows(script, capsys):
    cells = [
        ["%matplotlib inline\n", "x = 1\n", "x?"],
        ["%%time\n", "if x:\n", "    !pip install numpy\n", "    files = !ls\n", "x += 1"],
        ["%%bash\n", "echo no"],
        ["display(x)\n", "1 / 0"],
    ]
    notebook = {"cells": [{"cell_type": "code", "source": each} for each in cells]}
    notebook["cells"].insert(0, {"cell_type": "markdown", "source": "# Net"})
    outcome = run(script(json.dumps(notebook), "net.ipynb"))
    assert outcome.how == "the script stopped in line 2: ZeroDivisionError: division by zero"
    told = capsys.readouterr()
    assert told.out == "2\n"
    assert 'File "net.ipynb, cell 4", line 2' in told.err
    assert "    1 / 0\n" in told.err
    with pytest.raises(FileError, match="no notebook of format 4"):
        run(script("{}", "other.ipynb"))


def test_the_traceback_is_the_users_and_has_no_frames_of_the_doctor(script, capsys):
    path = script("import helper_that_fails\n\n\ndef net():\n    helper_that_fails.f()\n\nnet()\n")
    script("def f():\n    raise KeyError('W9')\n", "helper_that_fails.py")
    outcome = run(path)
    assert (outcome.how, outcome.status) == ("the script stopped in line 2: KeyError: 'W9'", 2)
    told = capsys.readouterr().err
    assert [line.split(", ")[1] for line in told.splitlines() if "File" in line] == [
        "line 7", "line 5", "line 2",
    ]  # fmt: skip
    assert "xpnet" not in told


@pytest.mark.parametrize(
    ("text", "how", "status"),
    [
        ("import sys; sys.exit()", "", 0),
        ("import sys; sys.exit(3)", "the script ended by sys.exit(3)", 0),
        ("import os; os._exit(5)", "the script ended by os._exit(5)", 0),
        ("raise KeyboardInterrupt", "stopped by SIGINT", 130),
        ("import os\nos.kill(os.getpid(), 2)", "stopped by SIGINT", 130),
        ("import os\nos.kill(os.getpid(), 15)", "stopped by SIGTERM", 143),
        ("while True:\n    pass", "stopped after 0.05 seconds", 0),
        ("import time\ntry:\n    time.sleep(9)\nexcept Exception:\n    pass",
         "stopped after 0.05 seconds", 0),
        ("f()\n", "the script stopped in line 1: NameError: name 'f' is not defined", 2),
        ("import numpy\nnumpy.loadtxt('none.csv')\n",
         "the script stopped in line 2: FileNotFoundError: none.csv not found", 2),
    ],
)  # fmt: skip
def test_however_a_script_ends_it_is_said(script, text, how, status):
    outcome = run(script(text), seconds=0.05 if "seconds" in how else None)
    assert (outcome.how, outcome.status) == (how, status)


def test_a_script_that_does_not_let_itself_be_stopped_is_given_up(script, monkeypatch):
    monkeypatch.setattr("xpnet.doctor.scripts.recording.run.GRACE", 0.3)
    monkeypatch.setattr("faulthandler.dump_traceback_later", lambda *_, **__: None)
    leave, outcomes = os._exit, []

    def stop(outcome):
        assert os._exit is leave  # what runs now can end the process
        outcomes.append(outcome.how)
        raise Stopped("given up", outcome.status)

    forever = "while True: time.sleep(.1)"
    stubborn = f"import time\ntry:\n  {forever}\nexcept: pass\n{forever}"
    assert run(script(stubborn), seconds=0.05, give_up=stop).how == "given up"
    assert outcomes == ["stopped after 0.05 seconds"]


def test_threads_of_the_script_are_waited_for(script, capsys):
    text = "from threading import Timer\nTimer(0.05, lambda: print(1)).start()"
    assert run(script(text)).how == ""
    assert capsys.readouterr().out == "1\n"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "latin-1"])
def test_windows_files_run(script, capsys, encoding):
    assert run(script("größe = 3\r\nprint(größe)\r\n", encoding=encoding)).how == ""
    assert capsys.readouterr().out == "3\n"


def test_what_python_cannot_read_is_one_message_with_its_line(script):
    with pytest.raises(
        InputError, match=r"net.py, line 2: Python 3\.\d+ cannot read it: .*Python 2"
    ):
        run(script("x = 1\nprint x\n"))
    with pytest.raises(InputError, match=r"line 1: .* was never closed"):
        run(script("f(\n"))
    with pytest.raises(FileError, match="no such file"):
        run("absent.py")


def test_numpy_is_given_back_as_it_was(script):
    before = np.dot
    run(script("import numpy\nnumpy.dot = None"))
    assert np.dot is before


def test_plots_open_no_window_whatever_the_script_chooses(script):
    text = "import matplotlib\nmatplotlib.use('TkAgg')\nimport matplotlib.pyplot as plt\n"
    outcome = run(script(f"{text}matplotlib.use('TkAgg')\nplt.plot([1, 2])\nplt.show()\n"))
    assert outcome.how == ""


def test_what_a_script_and_its_children_print_can_go_to_a_file(script, tmp_path):
    path = script("import os, sys\nprint('a')\nsys.stderr.write('b\\n')\nos.write(1, b'c\\n')")
    with open(tmp_path / "out.txt", "w+") as file:
        run(path, output=file)
    assert sorted((tmp_path / "out.txt").read_text().split()) == ["a", "b", "c"]


TARGETS = """import numpy as np
class Ring:
    n, rows = 0, np.zeros(4)
    def put(self, x):
        self.rows[self.n], self.n = x + 0.5, (self.n + 1) % 4
ring, w, x = Ring(), np.ones(3), np.zeros(3)
i, j = 0, 1
for step in range(40):
    ring.put(step)
    w = w - 0.1 * (w @ np.ones(3) - 1) * np.ones(3)
    x[i], (i, j) = step, (j, (i + step) % 3)
    x[0], x[1] = x[1], x[0]
    try:
        x[step], last = 1.0, step
    except IndexError:
        pass
print(ring.rows, x, i, j, last)
"""


def test_targets_of_one_statement_get_their_values_in_pythons_order(script, capsys):
    exec(compile(TARGETS, "net.py", "exec"), {"__name__": "net"})
    plainly = capsys.readouterr().out
    assert run(script(TARGETS)).how == ""
    assert capsys.readouterr().out == plainly
