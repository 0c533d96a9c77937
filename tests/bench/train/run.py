"""`lepton train` beside PyTorch, Keras and scikit-learn, in one run on one machine.

    python run.py LEPTON [--repeats 3] [--cores 1 2] [--rows 200000] [--curves]

Needs numpy, and those of torch, keras (any backend) and scikit-learn that are to be compared; what is not installed is
said and left out. Not part of the tests.

wide: 200,000 x 28 float, 128-64-1 relu, Adam, binary cross-entropy, batches of 256, 3 epochs, shuffled. Seconds of the
training alone (data in memory, network made), for lepton its own train_seconds; `cpu` is the process's CPU time over
the same span, for lepton a run's less that of one with no epochs: on a busy machine it says more than the wall clock.
mission: 1000 x 10, 64-64-1, batches of 32, 10 epochs, the last 100 rows validating: the whole process from start to a
finished model, as a person waits for it. Each figure is the least of the repeats; runs of the rivals alternate.
--curves: no times; the mission's losses epoch by epoch beside the rivals' from the same first weights (those of
tests/data/train/init.safetensors), rows in the order of the file, on random and on learnable labels. Exit code 1 where a
loss differs by more than 1e-4."""

import argparse
import importlib.util
import json
import os
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np

TORCH = """
import sys, time, numpy as np, torch
torch.set_num_threads(CORES)
x, y = torch.from_numpy(np.load(X)), torch.from_numpy(np.load(Y)).float()
held = HELD
layers, last = [], x.shape[1]
for width in WIDTHS: layers += [torch.nn.Linear(last, width), torch.nn.ReLU()]; last = width
net = torch.nn.Sequential(*layers, torch.nn.Linear(last, 1))
loss_of, step = torch.nn.BCEWithLogitsLoss(), torch.optim.Adam(net.parameters(), fused=True)
n = len(x) - held
begin, cpu = time.perf_counter(), time.process_time()
for _ in range(EPOCHS):
    order = torch.randperm(n)
    for at in range(0, n, BATCH):
        rows = order[at:at + BATCH]
        step.zero_grad(set_to_none=True)
        loss = loss_of(net(x[rows]).squeeze(1), y[rows])
        loss.backward()
        step.step()
    if held:
        with torch.no_grad(): valid = loss_of(net(x[n:]).squeeze(1), y[n:]).item()
print(time.perf_counter() - begin, time.process_time() - cpu, loss.item())
"""
KERAS = """
import os
os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
import time, numpy as np, keras
try:
    import tensorflow as tf
    tf.config.threading.set_intra_op_parallelism_threads(CORES)
    tf.config.threading.set_inter_op_parallelism_threads(1)
except ImportError: pass
x, y = np.load(X), np.load(Y).astype('float32')
held = HELD
net = keras.Sequential([keras.Input((x.shape[1],)), *[keras.layers.Dense(w, 'relu') for w in WIDTHS],
                        keras.layers.Dense(1, 'sigmoid')])
net.compile('adam', 'binary_crossentropy')
n = len(x) - held
if not held: net.train_on_batch(x[:BATCH], y[:BATCH])  # traced before the clock starts
begin, cpu = time.perf_counter(), time.process_time()
done = net.fit(x[:n], y[:n], batch_size=BATCH, epochs=EPOCHS, verbose=0,
               validation_data=(x[n:], y[n:]) if held else None)
print(time.perf_counter() - begin, time.process_time() - cpu, done.history['loss'][-1])
"""
SKLEARN = """
import time, warnings, numpy as np
from sklearn.neural_network import MLPClassifier
warnings.simplefilter('ignore')
x, y = np.load(X), np.load(Y)
held = HELD
n = len(x) - held
net = MLPClassifier(WIDTHS, alpha=0, batch_size=BATCH, max_iter=EPOCHS, tol=0, n_iter_no_change=EPOCHS + 1)
begin, cpu = time.perf_counter(), time.process_time()
net.fit(x[:n], y[:n])
if held: net.score(x[n:], y[n:])
print(time.perf_counter() - begin, time.process_time() - cpu, net.loss_)
"""
# Loss before each step averaged over the epoch, and of the held-out rows behind it, as every one of the three reports them.
TORCH_CURVE = """
import sys, json, numpy as np, torch
torch.set_num_threads(1)
data = np.load(DATA)
x, y = torch.from_numpy(data['x']), torch.from_numpy(data['y']).float()
layers = []
for i in range(3):
    layer = torch.nn.Linear(*data['w%d' % i].shape)
    layer.weight.data, layer.bias.data = torch.from_numpy(data['w%d' % i].T.copy()), torch.from_numpy(data['b%d' % i])
    layers += [layer, torch.nn.ReLU()]
net, loss_of, n = torch.nn.Sequential(*layers[:-1]), torch.nn.BCEWithLogitsLoss(), len(x) - HELD
step, curve = torch.optim.Adam(net.parameters(), eps=1e-8), []
for _ in range(EPOCHS):
    total = 0
    for at in range(0, n, BATCH):
        end = min(at + BATCH, n)
        step.zero_grad()
        loss = loss_of(net(x[at:end]).squeeze(1), y[at:end])
        loss.backward()
        step.step()
        total += loss.item() * (end - at)
    with torch.no_grad(): curve.append([total / n, loss_of(net(x[n:]).squeeze(1), y[n:]).item()])
print(json.dumps(curve))
"""
KERAS_CURVE = """
import os, json
os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
import numpy as np, keras
data = np.load(DATA)
x, y = data['x'], data['y'].astype('float32')[:, None]
net = keras.Sequential([keras.Input((x.shape[1],)), keras.layers.Dense(64, 'relu'), keras.layers.Dense(64, 'relu'),
                        keras.layers.Dense(1)])
net.set_weights([data['%s%d' % (k, i)] for i in range(3) for k in 'wb'])
net.compile(keras.optimizers.Adam(0.001, epsilon=1e-8), keras.losses.BinaryCrossentropy(from_logits=True))
n = len(x) - HELD
done = net.fit(x[:n], y[:n], batch_size=BATCH, epochs=EPOCHS, verbose=0, shuffle=False, validation_data=(x[n:], y[n:]))
print(json.dumps([list(pair) for pair in zip(done.history['loss'], done.history['val_loss'])]))
"""
CURVES = {"PyTorch": ("torch", TORCH_CURVE), "Keras": ("keras", KERAS_CURVE)}
RIVALS = {"PyTorch": ("torch", TORCH), "Keras": ("keras", KERAS), "scikit-learn": ("sklearn", SKLEARN)}


def make_data(folder, rows, width, name, random=False):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(rows, width)).astype(np.float32)
    y = (rng.random(rows) < 1 / (1 + np.exp(-x @ rng.normal(size=width)))).astype(np.int64)
    if random:
        y = rng.integers(0, 2, size=rows)
    base = os.path.join(folder, name)
    np.save(base + ".x.npy", x)
    np.save(base + ".y.npy", y)
    names = ["f%d" % i for i in range(width)]
    with open(base + ".csv", "w") as file:
        file.write(",".join(names + ["y"]) + "\n")
        for row, label in zip(x.tolist(), y.tolist()):
            file.write(",".join(map(repr, row)) + ",%d\n" % label)
    spec = {"features": [{"name": n, "from": n, "kind": "number", "missing": {"policy": "reject"}} for n in names]}
    with open(base + ".json", "w") as file:
        json.dump(spec, file)
    return base


def run(command, cores):
    """(wall of the process, its CPU seconds, stdout)"""
    env = {**os.environ, "OMP_NUM_THREADS": str(cores), "OPENBLAS_NUM_THREADS": str(cores), "MKL_NUM_THREADS": str(cores)}
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):  # would slow a current numpy down
        env.pop(name, None)
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, preexec_fn=lambda:
                          os.sched_setaffinity(0, range(cores)))
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit("%s\n%s" % (command[:2], done.stderr[-2000:]))
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def rival(name, base, cores, widths, batch, epochs, held):
    text = "X, Y, CORES, WIDTHS, BATCH, EPOCHS, HELD = %r, %r, %d, %r, %d, %d, %d\n" % (
        base + ".x.npy", base + ".y.npy", cores, widths, batch, epochs, held) + RIVALS[name][1]
    process, process_cpu, out = run([sys.executable, "-c", text], cores)
    wall, cpu, loss = map(float, out.split())
    return {"wall": wall, "cpu": cpu, "loss": loss, "process": process, "process_cpu": process_cpu}


def lepton(program, base, cores, widths, batch, epochs, held, folder):
    def once(count):
        command = [program, "train", base + ".csv", "--label", "y", "--spec", base + ".json", "--layers",
                   ",".join(map(str, widths)), "--batch", str(batch), "--epochs", str(count), "--patience", "0",
                   "--validate", "last:%d" % held if held else "none", "--threads", str(cores), "--json", "-o",
                   os.path.join(folder, "model.safetensors")]
        return run(command, cores)

    process, process_cpu, out = once(epochs)
    events = [json.loads(line) for line in out.splitlines()]
    idle = once(0)[1]
    return {"wall": events[-1]["train_seconds"], "cpu": process_cpu - idle, "loss": events[-2]["loss"],
            "process": process, "process_cpu": process_cpu}


def measure(program, names, base, cores, repeats, folder, *shape):
    best = {}
    for _ in range(repeats):
        for name in ["lepton", *names]:
            got = lepton(program, base, cores, *shape, folder) if name == "lepton" else rival(name, base, cores, *shape)
            for key, value in got.items():
                best.setdefault(name, {})
                best[name][key] = min(value, best[name].get(key, value)) if key != "loss" else value
    return best


def first_weights(root):
    sys.path.insert(0, os.path.join(root, "tests", "support"))
    import bundle
    tensors = bundle.read_bundle(os.path.join(root, "tests", "data", "train", "init.safetensors"))[1]
    return {**{"w%d" % i: tensors["layer%d.weight" % i] for i in range(3)},
            **{"b%d" % i: tensors["layer%d.bias" % i] for i in range(3)}}


def compare_curves(program, folder):
    """The largest difference from any rival in any epoch."""
    root, held, batch, epochs, worst = os.path.abspath(__file__ + "/../../../.."), 100, 32, 10, 0
    for labels in ("learnable", "random"):
        base = make_data(folder, 1000, 10, labels, labels == "random")
        np.savez(base + ".npz", x=np.load(base + ".x.npy"), y=np.load(base + ".y.npy"), **first_weights(root))
        command = [program, "train", base + ".csv", "--label", "y", "--spec", base + ".json", "--batch", str(batch),
                   "--epochs", str(epochs), "--patience", "0", "--validate", "last:%d" % held, "--in-order", "--init",
                   os.path.join(root, "tests", "data", "train", "init.safetensors"), "--json", "-o", base + ".safetensors"]
        lines = [json.loads(line) for line in run(command, 1)[2].splitlines()]
        ours = np.array([[e["loss"], e["valid"]["loss"]] for e in lines if e["event"] == "epoch"])
        for name, (module, text) in CURVES.items():
            if not importlib.util.find_spec(module):
                print("%s is not installed here" % name)
                continue
            text = "DATA, HELD, BATCH, EPOCHS = %r, %d, %d, %d\n" % (base + ".npz", held, batch, epochs) + text
            theirs = np.array(json.loads(run([sys.executable, "-c", text], 1)[2].splitlines()[-1]))
            worst = max(worst, abs(ours - theirs).max())
            for epoch, (a, b) in enumerate(zip(ours, theirs), 1):
                print("curves, %s labels, %s: epoch %2d, training loss %.7f and %.7f, validation loss %.7f and %.7f" % (
                    labels, name, epoch, a[0], b[0], a[1], b[1]))
            print("curves, %s labels, %s: largest difference %.1e" % (labels, name, abs(ours - theirs).max()), flush=True)
    return worst


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("lepton")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cores", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rows", type=int, default=200000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--curves", action="store_true")
    o = parser.parse_args()
    if o.curves:
        with tempfile.TemporaryDirectory() as folder:
            sys.exit(compare_curves(o.lepton, folder) > 1e-4)
    names = [n for n, (module, _) in RIVALS.items() if importlib.util.find_spec(module)]
    for name in set(RIVALS) - set(names):
        print("%s is not installed here" % name)
    flops = 6 * (28 * 128 + 128 * 64 + 64) - 2 * 28 * 128  # a row: forward, by weights, by inputs but the first
    with tempfile.TemporaryDirectory() as folder:
        base = make_data(folder, o.rows, 28, "wide")
        for cores in o.cores:
            best = measure(o.lepton, names, base, cores, o.repeats, folder, (128, 64), 256, o.epochs, 0)
            for name, got in best.items():
                print("wide, %d core%s: %-12s %7.3f s wall (%9.0f rows/s, %5.1f GFLOP/s), %7.3f s cpu, loss %.4f; lepton "
                      "is %.1f x by wall, %.1f x by cpu" % (cores, "s"[:cores > 1], name, got["wall"],
                                                         o.rows * o.epochs / got["wall"],
                                                         flops * o.rows * o.epochs / got["wall"] / 1e9, got["cpu"],
                                                         got["loss"], got["wall"] / best["lepton"]["wall"],
                                                         got["cpu"] / best["lepton"]["cpu"]), flush=True)
        base = make_data(folder, 1000, 10, "mission")
        best = measure(o.lepton, names, base, 1, o.repeats, folder, (64, 64), 32, 10, 100)
        for name, got in best.items():
            print("mission, whole process: %-12s %7.3f s wall, %7.3f s cpu; training alone %.4f s; lepton is %.0f x by "
                  "wall, %.0f x by cpu" % (name, got["process"], got["process_cpu"], got["wall"],
                                           got["process"] / best["lepton"]["process"],
                                           got["process_cpu"] / best["lepton"]["process_cpu"]))


if __name__ == "__main__":
    main()
