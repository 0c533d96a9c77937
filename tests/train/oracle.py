"""A dense network in numpy and double precision: forward, backward and optimizers, to compare loss curves with.

Written from the papers (Kingma and Ba 2015, Loshchilov and Hutter 2019), not from src/train/."""

import numpy as np


def sigmoid(z):
    return np.where(z < 0, np.exp(np.minimum(z, 0)), 1) / (1 + np.exp(-np.abs(z)))


def softplus(z):
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


ACTIVATIONS = {  # f, f'
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(float)),
    "leaky_relu": (lambda z: np.where(z > 0, z, 0.01 * z), lambda z: np.where(z > 0, 1, 0.01)),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "sigmoid": (sigmoid, lambda z: sigmoid(z) * (1 - sigmoid(z))),
    "silu": (lambda z: z * sigmoid(z), lambda z: sigmoid(z) * (1 + z * (1 - sigmoid(z)))),
}


def loss_and_slope(kind, z, y, delta=1.0):
    """Losses of the rows, and their derivatives by the margins; z [rows, outputs]."""
    if kind == "categorical":
        e = np.exp(z - z.max(1, keepdims=True))
        p = e / e.sum(1, keepdims=True)
        one = np.eye(z.shape[1])[y.astype(int)]
        return -np.log((p * one).sum(1)), p - one
    z = z[:, 0]
    if kind == "binary":
        value, slope = softplus(z) - y * z, sigmoid(z) - y
    elif kind == "poisson":
        value, slope = np.exp(z) - y * z, np.exp(z) - y
    elif kind == "huber":
        e = z - y
        value = np.where(abs(e) <= delta, e * e / 2, delta * (abs(e) - delta / 2))
        slope = np.clip(e, -delta, delta)
    else:
        value, slope = (z - y) ** 2 / 2, z - y
    return value, slope[:, None]


class Network:
    def __init__(self, layers, activation, kind, delta=1.0):
        """layers: [(weight [in, out], bias [out])]"""
        self.layers = [[w.astype(float).copy(), b.astype(float).copy()] for w, b in layers]
        self.activation, self.kind, self.delta = activation, kind, delta

    def forward(self, x):
        inputs, sums = [], []
        for i, (w, b) in enumerate(self.layers):
            inputs.append(x)
            sums.append(x @ w + b)
            x = sums[-1] if i == len(self.layers) - 1 else ACTIVATIONS[self.activation][0](sums[-1])
        return inputs, sums

    def losses(self, x, y):
        return loss_and_slope(self.kind, self.forward(x)[1][-1], y, self.delta)[0]

    def gradients(self, x, y, weight):
        inputs, sums = self.forward(x)
        value, slope = loss_and_slope(self.kind, sums[-1], y, self.delta)
        delta, made = slope * weight[:, None] / len(x), []
        for i in range(len(self.layers) - 1, -1, -1):
            made.append([inputs[i].T @ delta, delta.sum(0)])
            if i > 0:
                delta = (delta @ self.layers[i][0].T) * ACTIVATIONS[self.activation][1](sums[i - 1])
        return (value * weight).sum(), made[::-1]


def train(net, x, y, *, optimizer, rate, epochs, batch, weight=None, valid=None, momentum=0.9, decay=0.0, l1=0.0,
          l2=0.0, clip=0.0):
    """[(training loss of the epoch, validation loss behind it)]; rows in their order."""
    weight = np.ones(len(x)) if weight is None else weight
    state = [[[np.zeros_like(p), np.zeros_like(p)] for p in layer] for layer in net.layers]
    curve, step = [], 0
    for _ in range(epochs):
        total = 0
        for first in range(0, len(x), batch):
            rows = slice(first, first + batch)
            value, gradients = net.gradients(x[rows], y[rows], weight[rows])
            total += value
            step += 1
            if clip:
                norm = np.sqrt(sum((g ** 2).sum() for layer in gradients for g in layer))
                gradients = [[g * min(1, clip / norm) for g in layer] for layer in gradients]
            for layer, grads, moments in zip(net.layers, gradients, state):
                for k in range(2):
                    penalized = k == 0
                    update(layer, k, grads[k], moments[k], step, optimizer, rate, momentum,
                           decay if penalized else 0, l1 if penalized else 0, l2 if penalized else 0)
        curve.append((total / len(x), net.losses(*valid).mean() if valid else np.nan))
    return curve


def update(layer, k, g, moments, step, optimizer, rate, momentum, decay, l1, l2):
    g = g + l2 * layer[k] + l1 * np.sign(layer[k])
    if optimizer in ("sgd", "momentum"):
        moments[0] = (momentum if optimizer == "momentum" else 0) * moments[0] + g
        layer[k] = layer[k] - rate * moments[0]
        return
    moments[0] = 0.9 * moments[0] + 0.1 * g
    moments[1] = 0.999 * moments[1] + 0.001 * g * g
    first, second = moments[0] / (1 - 0.9 ** step), moments[1] / (1 - 0.999 ** step)
    layer[k] = layer[k] * (1 - rate * decay) - rate * first / (np.sqrt(second) + 1e-8)
