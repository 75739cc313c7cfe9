"""What calls make, in the memory of others of its kind: innocent lines free some, and the last line keeps a new one.

Each function is a cycle. `keep` keeps what it is given. Only the line marked `kept` leaks.
"""

import contextvars
import sys


def method_bound(keep):
    plain = Plain()  # kept
    plain.method.__self__
    keep(plain.method)  # kept


def method_of_a_builtin(keep):
    items = []  # kept
    items.append.__name__
    keep(items.append)  # kept


def closure(keep):
    make_closure(1)()
    keep(make_closure(2))  # kept


def frame(keep):
    free(running_frame)
    keep(running_frame())  # kept


def frame_of_an_error(keep):
    free(caught, ValueError)
    keep(caught(KeyError))  # kept


def frame_that_recursed(keep):
    free(recurse, 5)
    keep(recurse(3))  # kept


def generator_suspended(keep):
    next(generate())
    running = generate()  # kept
    next(running)
    keep(running)


def generator_expression(keep):
    list(i for i in range(3))
    keep(i for i in range(3))  # kept


def coroutine_not_started(keep):
    wait().close()
    keep(wait())  # kept


def coroutine_suspended(keep):
    wait().close()
    running = wait()  # kept
    running.send(None)
    keep(running)


def asynchronous_generator(keep):
    generate_later().aclose()
    keep(generate_later())  # kept


def asynchronous_step(keep):
    generator = generate_later()  # kept
    generator.asend(None).close()
    keep(generator.asend(None))  # kept


def context(keep):
    contextvars.copy_context()
    contextvars.Context()
    keep(contextvars.copy_context())  # kept


def context_run(keep):
    contextvars.copy_context().run(int)
    keep(contextvars.Context())  # kept


class Plain:
    def method(self):
        pass


def make_closure(value):  # kept
    def inside():  # kept
        return value  # kept

    return inside  # kept


def free(function, *arguments):
    function(*arguments)


def running_frame():  # kept
    return sys._getframe()  # kept


def caught(kind):  # kept
    try:
        raise kind  # kept
    except kind as error:
        return error  # kept


def recurse(depth):  # kept
    if not depth:
        return sys._getframe()  # kept
    return recurse(depth - 1)  # kept


def generate():  # kept
    yield 1


class Wait:
    def __await__(self):  # kept
        yield 1  # kept


async def wait():  # kept
    await Wait()  # kept


async def generate_later():  # kept
    yield 1
