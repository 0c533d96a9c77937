"""Make tests/data/networks: small models as Keras (tf2onnx) and PyTorch export them, and a convolution trained on
scikit-learn's digits with the labels that its framework gives to each of them.

    make_fixtures.py keras|torch OUT

Needs tensorflow-cpu, tf2onnx and scikit-learn, or torch, onnxscript and scikit-learn; run once, the files are committed.
"""
import os
import sys

import numpy as np
import onnx

OUT = sys.argv[2]
SEED = 11


def save(name, model, source, high=0):
    """The model with what a test must know: which framework made it, below what its ids are."""
    if isinstance(model, str):
        loaded = onnx.load(model)
        os.remove(model)
        model = loaded
    for key, value in (("source", source), ("ids_below", str(high))):
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    model.doc_string = ""
    for node in model.graph.node:
        node.doc_string = ""
        node.ClearField("metadata_props")
    onnx.save(model, os.path.join(OUT, name + ".onnx"))
    print("%s: %d bytes, %s" % (name, os.path.getsize(os.path.join(OUT, name + ".onnx")),
                                sorted({n.op_type for n in model.graph.node})))


def digits():
    from sklearn.datasets import load_digits
    data = load_digits()
    return (data.data / 16).astype(np.float32), data.target


def save_labels(name, labels):
    with open(os.path.join(OUT, name + ".labels"), "w", encoding="ascii") as file:
        file.write("".join(str(int(label)) for label in labels) + "\n")


def with_keras():
    import keras
    import tensorflow as tf
    import tf2onnx
    from keras import layers as l
    keras.utils.set_random_seed(SEED)
    source = "keras %s, tf2onnx %s" % (keras.__version__, tf2onnx.__version__)

    def export(name, model, opset, high=0):
        spec = [tf.TensorSpec([None, *i.shape[1:]], i.dtype, name=i.name) for i in model.inputs]
        call = tf.function(lambda *x: model(list(x) if len(x) > 1 else x[0], training=False), input_signature=spec)
        save("keras_" + name, tf2onnx.convert.from_function(call, input_signature=spec, opset=opset)[0], source, high)

    def trained(model):
        """Weights as after some steps: batch norms have statistics of their own, biases are not 0."""
        rng = np.random.default_rng(SEED)
        for w in model.weights:
            shape = w.shape
            if "variance" in w.path or "gamma" in w.path:
                w.assign(rng.uniform(0.5, 1.5, shape))
            elif "kernel" not in w.path and "embeddings" not in w.path:
                w.assign(rng.normal(0, 0.3, shape))
        return model

    x = l.Input((10,), name="x")
    y = l.Dropout(0.2)(l.Activation("relu")(l.BatchNormalization()(l.Dense(16)(x))))
    export("mlp", trained(keras.Model(x, l.Dense(3, activation="softmax")(y))), 13)

    x = l.Input((8,), name="x")
    y = x
    for a in ("elu", "selu", "swish", "softplus", "softsign", "tanh", "hard_sigmoid", "relu6", "mish", "exponential"):
        y = l.Dense(8, activation=a)(y)
    y = l.PReLU()(l.LeakyReLU(negative_slope=0.2)(l.Dense(8)(y)))
    y = l.Activation(lambda v: keras.activations.gelu(v, approximate=True))(y)
    export("activations", trained(keras.Model(x, l.Dense(1)(y))), 15)

    user, item = l.Input((1,), dtype="int32", name="user"), l.Input((4,), dtype="int32", name="items")
    more = l.Input((5,), name="more")
    u = l.Flatten()(l.Embedding(20, 6)(user))
    i = l.GlobalAveragePooling1D()(l.Embedding(20, 6)(item))
    dot = l.Dot(1)([u, i])
    deep = l.Dense(8, activation="relu")(l.Concatenate()([u, i, more]))
    export("recommender", trained(keras.Model([user, item, more], l.Dense(1, activation="sigmoid")(
        l.Concatenate()([dot, deep])))), 17, high=20)

    words = l.Input((12,), dtype="int32", name="words")
    y = l.Conv1D(8, 3, activation="relu", padding="same")(l.Embedding(30, 6)(words))
    y = l.GlobalMaxPooling1D()(l.LayerNormalization()(y))
    export("text", trained(keras.Model(words, l.Dense(4, activation="softmax")(y))), 18, high=30)

    x = l.Input((8, 8, 1), name="pixels")
    y = l.MaxPooling2D()(l.Conv2D(8, 3, activation="relu", padding="same")(x))
    y = l.Dropout(0.2)(l.Flatten()(l.Conv2D(12, 3, activation="relu")(y)))
    model = keras.Model(x, l.Dense(10, activation="softmax")(y))
    pixels, target = digits()
    train = np.arange(len(pixels)) % 4 != 0
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(pixels[train].reshape(-1, 8, 8, 1), target[train], epochs=25, batch_size=32, verbose=0)
    export("digits", model, 17)
    labels = model.predict(pixels.reshape(-1, 8, 8, 1), verbose=0).argmax(axis=1)
    print("digits: %d of %d held out are right" % ((labels == target)[~train].sum(), (~train).sum()))
    save_labels("keras_digits", labels)


def with_torch():
    import torch
    from torch import nn
    torch.manual_seed(SEED)
    source = "torch " + torch.__version__.split("+")[0]

    def export(name, model, given, opset, high=0, dynamo=False):
        model.eval()
        names = ["in%d" % i for i in range(len(given))]
        path = os.path.join(OUT, "torch_%s.onnx" % name)
        if dynamo:
            batch = torch.export.Dim("batch", min=1, max=4096)
            torch.onnx.export(model, given, path, input_names=names, output_names=["out"], opset_version=opset,
                              dynamo=True, external_data=False, dynamic_shapes=tuple({0: batch} for _ in given))
        else:
            torch.onnx.export(model, given, path, input_names=names, output_names=["out"], opset_version=opset,
                              dynamo=False, dynamic_axes={n: {0: "batch"} for n in names + ["out"]})
        save("torch_" + name, path, source, high)

    def settle(model):
        rng = np.random.default_rng(SEED)
        for m in model.modules():
            if isinstance(m, nn.BatchNorm1d) or isinstance(m, nn.BatchNorm2d):
                m.running_mean.data = torch.tensor(rng.normal(0, 0.5, m.running_mean.shape), dtype=torch.float32)
                m.running_var.data = torch.tensor(rng.uniform(0.5, 2, m.running_var.shape), dtype=torch.float32)
        return model

    mlp = settle(nn.Sequential(nn.Linear(10, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 16), nn.GELU(),
                               nn.Linear(16, 8), nn.SiLU(), nn.LayerNorm(8), nn.Linear(8, 3), nn.LogSoftmax(dim=1)))
    export("mlp", mlp, (torch.randn(3, 10),), 17)
    export("mlp_dynamo", mlp, (torch.randn(3, 10),), 18, dynamo=True)
    export("activations", nn.Sequential(*[m for a in (nn.ELU(), nn.SELU(), nn.CELU(1.3), nn.Mish(), nn.Hardswish(),
                                                      nn.Hardsigmoid(), nn.Softplus(), nn.PReLU(8), nn.LeakyReLU(0.1), nn.Tanh(),
                                                      nn.ReLU6(), nn.Softsign(), nn.GELU(approximate="tanh"))
                                          for m in (nn.Linear(8, 8), a)], nn.Linear(8, 1)), (torch.randn(3, 8),), 14)
    cnn = settle(nn.Sequential(nn.Conv2d(2, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
                               nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 12, 1), nn.Hardswish(), nn.AdaptiveAvgPool2d(1),
                               nn.Flatten(), nn.Linear(12, 5), nn.Softmax(dim=1)))
    export("cnn", cnn, (torch.randn(3, 2, 9, 8),), 13)

    class Towers(nn.Module):
        def __init__(self):
            super().__init__()
            self.user, self.item = nn.Embedding(40, 8), nn.Embedding(40, 8)
            self.left, self.right = nn.Linear(8 + 3, 6), nn.Linear(8, 6)

        def forward(self, user, history, more):
            left = torch.relu(self.left(torch.cat([self.user(user), more], 1)))
            right = self.right(self.item(history).mean(1))
            return torch.sigmoid((left * right).sum(1, keepdim=True) + nn.functional.cosine_similarity(
                left, right, dim=1).unsqueeze(1))

    export("towers", Towers(), (torch.tensor([1, 2, 3]), torch.randint(0, 40, (3, 5)), torch.randn(3, 3)), 17, high=40)

    class Sequence(nn.Module):
        """A transformer's layer of two heads over item ids; nn.MultiheadAttention moves the batch off the first axis."""

        def __init__(self):
            super().__init__()
            self.items, self.place = nn.Embedding(25, 8), nn.Parameter(torch.randn(6, 8))
            self.mix, self.join = nn.Linear(8, 24), nn.Linear(8, 8)
            self.first, self.second = nn.LayerNorm(8), nn.LayerNorm(8)
            self.feed = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))
            self.out = nn.Linear(8, 4)

        def forward(self, ids):
            x = self.items(ids) + self.place
            q, k, v = (p.view(-1, 6, 2, 4).transpose(1, 2) for p in self.mix(x).chunk(3, dim=2))
            mixed = nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(-1, 6, 8)
            x = self.first(x + self.join(mixed))
            x = self.second(x + self.feed(x))
            return torch.softmax(self.out(x[:, -1]), 1)

    export("sequence", Sequence(), (torch.randint(0, 25, (3, 6)),), 17, high=25)


with_keras() if sys.argv[1] == "keras" else with_torch()
