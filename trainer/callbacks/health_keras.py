"""Writes the health of a Keras training for `escarp-train doctor LOG`.

    model.fit(x, y, callbacks=[HealthLog(x[:64], y[:64], "health.jsonl", baseline_loss=math.log(classes))])

Keras does not show a callback the gradients of the step, so they are measured on the samples given here, after
every `every`-th batch. Needs TensorFlow as Keras's backend, and a Sequential or functional model. Activations must be
given to their layers (`activation="relu"`) to be seen. The form of a line: `trainer/doctor.md`.
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

    def on_train_batch_begin(self, batch, logs=None):
        if self.count % self.every == 0:
            self.before = {l.name: flat(l.trainable_weights) for l in self.watched()}

    def on_train_batch_end(self, batch, logs=None):
        if self.count % self.every == 0:
            layers = self.watched()
            inputs = self.model.inputs if len(self.model.inputs) > 1 else self.model.inputs[0]
            seen = keras.Model(inputs, [l.output for l in layers] + self.model.outputs[:1])
            with tf.GradientTape() as tape:
                *outputs, answer = seen(self.x, training=True)
                loss = self.model.compute_loss(self.x, self.y, answer)
            grads = tape.gradient(loss, [l.trainable_weights for l in layers])
            lines = [self.line(*each) for each in zip(layers, outputs, grads)]
            norm = float(tf.linalg.global_norm([g for gs in grads for g in gs]))
            line = {"step": self.count, "loss": float(loss), "rate": float(self.model.optimizer.learning_rate),
                    "gradient_norm": norm, **self.constants, "layers": lines}
            print(json.dumps(line), file=self.file, flush=True)
        self.count += 1

    def watched(self):
        """Frozen layers cannot be ill."""
        return [l for l in self.model.layers if l.trainable_weights and type(l).__name__ in KINDS]

    def line(self, layer, output, grads):
        w, g, y = flat(layer.trainable_weights), flat(grads), np.asarray(output)
        name = getattr(getattr(layer, "activation", None), "__name__", None)
        share = {"sigmoid": np.abs(y - 0.5) > 0.475, "tanh": np.abs(y) > 0.95}.get(name)
        return {"name": layer.name, "kind": KINDS[type(layer).__name__], "activation": name, "weight_norm": norm_of(w),
                "gradient_norm": norm_of(g), "zero_gradients": float(np.mean(np.abs(g) < 1e-12)),
                "update_ratio": norm_of(w - self.before[layer.name]) / norm_of(w), "largest_weight": float(np.abs(w).max()),
                "activation_mean": float(y.mean()), "activation_std": float(y.std()), "activation_zeros": float(np.mean(y == 0)),
                "activation_saturated": None if share is None else float(share.mean()),
                "dead_units": float(np.mean(np.all(y == 0, axis=tuple(range(y.ndim - 1)))))}


def flat(tensors):
    """Matrices and kernels without biases; of a normalization everything."""
    arrays = [np.asarray(tf.convert_to_tensor(t)) for t in tensors]
    return np.concatenate([a.ravel() for a in arrays if a.ndim > 1] or [a.ravel() for a in arrays])


def norm_of(x):
    return np.float64(np.linalg.norm(x))  # a float, but 0/0 is NaN and no exception
