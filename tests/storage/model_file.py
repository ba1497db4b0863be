"""A small model, and its file taken apart and put together again."""

from __future__ import annotations

import io
import json
import sys
import zipfile

import numpy as np
import pytest

import tinynet as tn
from tinynet.errors import ModelFileError

SHAPE = (8, 8, 1)


def small_net(**more):
    settings = {"labels": ["cat", "dog", "hen", "owl"], "metadata": {"input": {"kind": "image"}}, **more}
    return tn.Sequential(
        [
            tn.Conv2D(3, 3, activation="relu"),
            tn.BatchNorm(),
            tn.MaxPool2D(2),
            tn.Reshape((27,)),
            tn.Dropout(0.5),
            tn.Dense(4, "softmax"),
        ],
        SHAPE,
        **settings,
    )


def entries(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_entries(path, content, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in content.items():
            archive.writestr(name, data)


def npy(array, **settings):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asanyarray(array), **settings)
    return stream.getvalue()


def read_config(path):
    with np.load(path, allow_pickle=False) as arrays:
        return json.loads(str(arrays["config"]))


def put_config(path, config):
    text = config if isinstance(config, str) else json.dumps(config)
    write_entries(path, {**entries(path), "config.npy": npy(text)})


def put_array(path, key, data):
    write_entries(path, {**entries(path), f"{key}.npy": data})


def refused(path, pattern):
    with pytest.raises(ModelFileError, match=pattern) as caught:
        tn.load(path)
    assert str(path) in str(caught.value), "the message names the file"
    assert "\n" not in str(caught.value)


def peak_memory():
    resource = pytest.importorskip("resource")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
