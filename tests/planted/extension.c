/* The same functions as an extension module, and a reference that is never dropped. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "functions.h"

#define WRAP(name)                                                                                                     \
    static PyObject *py_##name(PyObject *self, PyObject *nothing)                                                      \
    {                                                                                                                  \
        (void)self;                                                                                                    \
        (void)nothing;                                                                                                 \
        name();                                                                                                        \
        Py_RETURN_NONE;                                                                                                \
    }
EACH_FUNCTION(WRAP)

static PyObject *leak_reference(PyObject *self, PyObject *nothing)
{
    (void)self;
    (void)nothing;
    PyObject *made = PyBytes_FromStringAndSize(NULL, 73); /* planted: leak_reference */
    if (made == NULL)
        return NULL;
    Py_INCREF(made);
    return made;
}

static PyObject *repaired_reference(PyObject *self, PyObject *nothing)
{
    (void)self;
    (void)nothing;
    return PyBytes_FromStringAndSize(NULL, 73);
}

#define ENTRY(name) {#name, py_##name, METH_NOARGS, NULL},
static PyMethodDef functions[] = {
    EACH_FUNCTION(ENTRY)
    {"leak_reference", leak_reference, METH_NOARGS, NULL},
    {"repaired_reference", repaired_reference, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "planted_extension",
    .m_size = -1,
    .m_methods = functions,
};

PyMODINIT_FUNC PyInit_planted_extension(void)
{
    return PyModule_Create(&module);
}
