"""Records the logs of four real Keras trainings that the tests diagnose: python3 record_keras.py (Keras 3.15, TensorFlow 2.21).

Perceptrons on four classes of points. First it is made sure that the callback leaves no trace in the training that it
watches, which no test in Rust can do.
"""
import math
import os
import pathlib
import sys

os.environ["CUDA_VISIBLE_DEVICES"] = ""
import keras  # noqa: E402
import numpy as np  # noqa: E402
from keras import layers  # noqa: E402

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parents[2] / "callbacks"))
from health_keras import HealthLog  # noqa: E402
from shorten import shorten  # noqa: E402

random = np.random.default_rng(0)
x = random.normal(size=(2000, 20)).astype("float32")
y = (x @ random.normal(size=(20, 4))).argmax(1)


def train(hidden, rate, *callbacks, epochs=8):
    """Cross-entropy by plain SGD; the net and its loss after each epoch."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((20,)), *hidden(), layers.Dense(4, name="out")])
    model.compile(keras.optimizers.SGD(rate), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model, model.fit(x, y, batch_size=32, epochs=epochs, verbose=0, callbacks=callbacks).history["loss"]


def record(name, hidden, rate):
    path = HERE / f"keras-{name}.jsonl"
    train(hidden, rate, HealthLog(x[:64], y[:64], path, every=50, baseline_loss=math.log(4), planned_steps=504))
    shorten(path, 11)


def dense(depth, activation, **more):
    return lambda: [layers.Dense(32, activation, name=f"dense{i}", **more) for i in range(depth)]


def normalized():
    return [layer for i in range(3) for layer in (layers.Dense(32, "relu", name=f"dense{i}"), layers.Dropout(0.1),
                                                   layers.BatchNormalization(name=f"norm{i}"))]


watched, losses = train(normalized, 0.05, HealthLog(x[:64], y[:64], os.devnull, every=5), epochs=2)
alone, expected = train(normalized, 0.05, epochs=2)
assert losses == expected, (losses, expected)
for one, other in zip(watched.variables, alone.variables, strict=True):
    assert np.array_equal(one.numpy(), other.numpy()), f"{one.path} is another under the callback"

record("sigmoid", dense(10, "sigmoid"), 0.1)
record("dying", dense(4, "relu", bias_initializer=keras.initializers.Constant(-4.0)), 0.01)
record("rate", dense(4, "relu", kernel_initializer="he_normal"), 50.0)
record("normalized", normalized, 0.05)
