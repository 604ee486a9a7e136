"""MNIST by a small network: 784-128-128-10, batches of 64, 10 epochs, five seeds.

    python examples/mnist.py                        # downloads the four files (11 MB), checksummed
    python examples/mnist.py --data FOLDER          # reads them from a folder
    python examples/mnist.py --dataset fashion-mnist --hidden sigmoid --seeds 1

Plain SGD whose learning rate falls linearly to zero: 0.1 for ReLU units and 0.5 for sigmoid units.
It matters: at a constant rate the accuracy after the last epoch alone scatters by over a point.
"""

import argparse
import gzip
import sys
from pathlib import Path
from statistics import mean

import numpy as np

import xpnet

LEARNING_RATES = {"relu": 0.1, "sigmoid": 0.5}
FILES = {  # name: SHA-256 of MNIST's file and of Fashion-MNIST's
    "train-images-idx3-ubyte.gz": (
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    ),
    "train-labels-idx1-ubyte.gz": (
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    ),
    "t10k-images-idx3-ubyte.gz": (
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    ),
    "t10k-labels-idx1-ubyte.gz": (
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    ),
}
SOURCES = {
    "mnist": "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "fashion-mnist": "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
}


def download(dataset):
    """Fetch the four files once into the user's cache, each checked by its SHA-256."""
    try:
        import pooch
    except ImportError:
        sys.exit("pip install pooch, to download the files; or --data FOLDER")
    column = list(SOURCES).index(dataset)
    files = pooch.create(
        path=pooch.os_cache("xpnet") / dataset,
        base_url=SOURCES[dataset],
        registry={name: f"sha256:{sums[column]}" for name, sums in FILES.items()},
    )
    for name in FILES:
        files.fetch(name)
    return files.path


def read_idx(path):
    """Return the array of an IDX file of bytes, compressed or not."""
    content = Path(path).read_bytes()
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    dimensions = content[3]
    shape = np.frombuffer(content, ">i4", dimensions, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def load(folder):
    """Return x_train, y_train, x_test, y_test; pixels scaled to 0..1, one image per row."""
    arrays = []
    for name in FILES:
        path = Path(folder) / name
        arrays.append(read_idx(path if path.exists() else path.with_suffix("")))
    x_train, y_train, x_test, y_test = arrays

    def pixels(images):
        return images.reshape(len(images), -1).astype(np.float32) / 255

    return pixels(x_train), y_train, pixels(x_test), y_test


def train(data, hidden="relu", seed=0, epochs=10, device="cpu"):
    """Train one network; return its accuracy on the test images."""
    x_train, y_train, x_test, y_test = data
    net = xpnet.MLP([784, 128, 128, 10], hidden=hidden, output="softmax", seed=seed, device=device)
    optimizer = xpnet.SGD(LEARNING_RATES[hidden])
    xpnet.fit(
        net, x_train, y_train, optimizer=optimizer, schedule="linear", epochs=epochs, batch_size=64
    )
    return float(np.mean(net.predict(x_test).argmax(axis=1) == y_test))


def main():
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--data", help="folder with the four IDX files; else they are downloaded")
    options.add_argument("--dataset", choices=SOURCES, default="mnist", help="what to download")
    options.add_argument("--hidden", choices=LEARNING_RATES, help="one kind of units; else both")
    options.add_argument("--seeds", type=int, default=5)
    options.add_argument("--epochs", type=int, default=10)
    options.add_argument("--device", default="cpu", help="cpu, gpu or gpu:N")
    given = options.parse_args()

    data = load(given.data or download(given.dataset))
    for hidden in [given.hidden] if given.hidden else LEARNING_RATES:
        results = []
        for seed in range(given.seeds):
            results.append(train(data, hidden, seed, given.epochs, given.device))
            print(f"{hidden}, seed {seed}: test accuracy {results[-1]:.2%}", flush=True)
        print(f"{hidden}: mean of {given.seeds}: {mean(results):.2%}", flush=True)


if __name__ == "__main__":
    main()
