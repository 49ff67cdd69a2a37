"""Writes the health of a Keras training for `escarp-train doctor LOG`.

    model.fit(x, y, callbacks=[HealthLog(x[:64], y[:64], "health.jsonl", baseline_loss=math.log(classes))])

Keras does not show a callback the gradients of the step, so they are measured on the samples given here, before every
`every`-th batch, and behind the first whose loss is not finite. The training is the same as without. Needs TensorFlow
as Keras's backend, and a Sequential or functional model. Activations must be given to their layers
(`activation="relu"`) to be seen. The form of a line: `trainer/doctor.md`.
"""
import json
import keras
import numpy as np
import tensorflow as tf

KINDS = {"Dense": "dense", "Conv1D": "convolution", "Conv2D": "convolution", "DepthwiseConv2D": "convolution", "GRU": "gru",
         "LSTM": "lstm", "SimpleRNN": "rnn", "BatchNormalization": "norm", "LayerNormalization": "norm", "Embedding": "embedding"}


class HealthLog(keras.callbacks.Callback):
    def __init__(self, x, y, path, every=20, **constants):
        """`constants` stand in every line: baseline_loss, planned_steps."""
        super().__init__()
        self.x, self.y, self.file, self.every, self.count = x, y, open(path, "w"), every, 0
        self.constants = {"batch": len(x), **constants}

    def on_train_begin(self, logs=None):
        """Frozen layers cannot be ill."""
        self.lost = False
        self.layers = [l for l in self.model.layers if l.trainable_weights and type(l).__name__ in KINDS]
        inputs = self.model.inputs if len(self.model.inputs) > 1 else self.model.inputs[0]
        self.seen = keras.Model(inputs, [l.output for l in self.layers] + self.model.outputs[:1])

    def on_train_batch_begin(self, batch, logs=None):
        self.line = self.look() if self.count % self.every == 0 else None
        self.before = [flat(l, l.trainable_weights) for l in self.layers] if self.line else []

    def on_train_batch_end(self, batch, logs=None):
        loss, before = (logs or {}).get("loss", 0.0), self.lost  # a mean over the epoch, so lost until its end
        self.lost = not np.isfinite(loss)
        if self.lost and not before:
            self.line = {**(self.line or self.look()), "loss": float(loss)}
        if self.line:
            for layer, before, line in zip(self.layers, self.before, self.line["layers"]):
                line["update_ratio"] = norm(flat(layer, layer.trainable_weights) - before) / norm(before)
            print(json.dumps(self.line), file=self.file, flush=True)
        self.count += 1

    def look(self):
        """Forward and back without a trace: statistics of normalizations and seeds of dropout are put back."""
        kept = [(v, v.numpy()) for v in self.model.non_trainable_variables]
        with tf.GradientTape() as tape:
            *outputs, answer = self.seen(self.x, training=True)
            loss = self.model.compute_loss(self.x, self.y, answer)
        grads = tape.gradient(loss, [l.trainable_weights for l in self.layers])
        for variable, value in kept:
            variable.assign(value)
        return {"step": self.count, "loss": float(loss), "rate": float(self.model.optimizer.learning_rate),
                "gradient_norm": float(tf.linalg.global_norm([g for gs in grads for g in gs])), **self.constants,
                "layers": [figures(*each) for each in zip(self.layers, outputs, grads)]}


def figures(layer, output, grads):
    w, g, y = flat(layer, layer.trainable_weights), flat(layer, grads), np.asarray(output)
    name = getattr(getattr(layer, "activation", None), "__name__", None)
    ends = {"sigmoid": np.abs(y - 0.5) > 0.475, "tanh": np.abs(y) > 0.95}.get(name)
    return {"name": layer.name, "kind": KINDS[type(layer).__name__], "activation": name, "weight_norm": norm(w),
            "weight_gain": gain(layer), "gradient_norm": norm(g), "zero_gradients": float(np.mean(np.abs(g) < 1e-12)),
            "largest_weight": float(np.abs(w).max()), "activation_mean": float(y.mean()), "activation_std": float(y.std()),
            "activation_zeros": float(np.mean(y == 0)), "activation_saturated": None if ends is None else float(ends.mean()),
            "dead_units": float(np.mean(np.all(y == 0, axis=tuple(range(y.ndim - 1)))))}


def flat(layer, tensors):
    """Of the tensors that belong to a layer's weights: matrices and kernels without biases; of a normalization everything."""
    every = KINDS[type(layer).__name__] == "norm"
    chosen = [t for w, t in zip(layer.trainable_weights, tensors) if every or w.name != "bias"]
    return np.concatenate([np.asarray(tf.convert_to_tensor(t)).ravel() for t in chosen])


def gain(layer):
    """Deviation times the root of the inputs that each output sums; of several matrices the largest."""
    inputs = slice(2) if type(layer).__name__ == "DepthwiseConv2D" else slice(-1)
    kernels = [w.numpy() for w in layer.trainable_weights if w.name.endswith("kernel")]
    return max((float(k.std() * np.prod(k.shape[inputs]) ** 0.5) for k in kernels), default=None)


def norm(x):
    return np.float64(np.linalg.norm(x))  # a float, but 0/0 is NaN and no exception
