"""Tables and arrays to prepare; the fixture `table` of conftest.py reads such texts."""

import numpy as np

from xpnet.tables.table import read_table

TRAIN = """size,colour,weight,label
1.0,red,10,no
2.0,blue,20,yes
3.0,red,30,no
4.0,green,50,yes
6.0,blue,40,no
5.0,green,60,yes
"""
NUMBERS = "a,b,y\n" + "".join(f"{i * i},{i % 4 + 0.5},{3 * i + 0.25}\n" for i in range(12))


def arrays(folder, x, y=None):
    np.save(folder / "x.npy", x)
    if y is None:
        return read_table(folder / "x.npy")
    np.save(folder / "y.npy", y)
    return read_table(folder / "x.npy", target=str(folder / "y.npy"))
