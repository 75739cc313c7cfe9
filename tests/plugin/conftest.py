"""A small real C extension, built here: one call leaks, its repaired twin does not."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

SOURCE = r"""
#include <Python.h>
#include <string.h>

static PyObject *decode(const char *text, int give_back)
{
    char *copy = malloc(106);
    if (copy == NULL) return PyErr_NoMemory();
    strcpy(copy, text);
    PyObject *result = PyLong_FromSize_t(strlen(copy));
    if (give_back) free(copy);
    return result;
}

static PyObject *leaking_decode(PyObject *self, PyObject *unused) { return decode("frame", 0); }
static PyObject *repaired_decode(PyObject *self, PyObject *unused) { return decode("frame", 1); }

static PyMethodDef methods[] = {
    {"leaking_decode", leaking_decode, METH_NOARGS, NULL},
    {"repaired_decode", repaired_decode, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "framing", NULL, -1, methods};
PyMODINIT_FUNC PyInit_framing(void) { return PyModule_Create(&definition); }
"""


@pytest.fixture(scope="session")
def framing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the extension ``framing``."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("framing")
    source, target = folder / "framing.c", folder / f"framing{sysconfig.get_config_var('EXT_SUFFIX')}"
    source.write_text(SOURCE, encoding="ascii")
    include = sysconfig.get_path("include")
    subprocess.run([compiler, "-g", "-O0", "-shared", "-fPIC", f"-I{include}", "-o", target, source], check=True)
    return folder
