"""Containers that only grow, in programs whose functions a server calls: no loop of soak's is around them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from test_keepers import KEEPS, KEPT, MAY_BE_BOUNDED, stack_of

from soak.attribution.causes import Call
from soak.attribution.keepers.entries import served_frames
from soak.attribution.keepers.finder import KeeperFinder
from soak.grounds import Keeper

FLASK = Call(file="/srv/venv/lib/python3.11/site-packages/flask/app.py", function="dispatch_request", line=902)
CELERY = Call(file="/srv/venv/lib/python3.11/site-packages/celery/app/trace.py", function="trace_task", line=479)
SOCKETSERVER = Call(file="/usr/lib/python3.11/socketserver.py", function="process_request_thread", line=691)
SCRIPT = Call(file="/srv/venv/bin/gunicorn", function="<module>", line=8)
RUNPY = Call(file="<frozen runpy>", function="_run_module_as_main", line=198)
NATIVE = Call(address=0x4711)
MARK = Call(file="/srv/soak/inside/marking/middleware.py", function="marked", line=57)

APP = KEPT + "app = make_app()\n"


def find(folder: Path, code: str, *server: Call) -> Keeper | None:
    """Look for a keeper on the stack of the lines that end with ``# 1`` and ``# 2``, called by these frames."""
    file = folder / "app.py"
    file.write_text(code, encoding="utf-8")
    return KeeperFinder(served_frames).find([*stack_of(str(file), code), *server], [str(file)])


@pytest.mark.parametrize(
    ("code", "server"),
    [
        (APP + "@app.route('/leak')\ndef leak():\n    KEPT.append(bytes(9))  # 1\n", (FLASK, SOCKETSERVER, RUNPY)),
        (APP + "@app.get('/leak')\nasync def leak():\n    KEPT.append(bytes(9))  # 1\n", (FLASK, NATIVE, SCRIPT)),
        (APP + "@app.task\ndef leak():\n    KEPT.append(bytes(9))  # 1\n", (CELERY, SCRIPT)),
        (APP + "@shared_task(bind=True)\ndef leak(self):\n    KEPT.append(bytes(9))  # 1\n", (CELERY, RUNPY)),
        (KEPT + "def keep():\n    KEPT.append(bytes(9))  # 1\ndef leak(request):\n    keep()  # 2\n", (FLASK,)),
        (KEPT + "def leak(environ, start):\n    KEPT.append(bytes(9))  # 1\n", (MARK, Call(file="/srv/serve.py"))),
    ],
    ids=["Flask", "FastAPI", "Celery", "Celery, with arguments", "what a view calls", "below a mark"],
)
def test_what_a_served_function_adds_to_only_grows(tmp_path: Path, code: str, server: Sequence[Call]):
    found = find(tmp_path, code, *server)

    assert found is not None
    assert (found.name, code.splitlines()[found.line - 1].strip()) == ("KEPT", "KEPT.append(bytes(9))  # 1")


OF_A_KIND = {
    "a method": "@app.post('/x')\ndef leak():\n    if request.method == 'POST':\n        KEPT.append(bytes(9))  # 1\n",
    "a path": "def leak(environ, start):\n    if environ['PATH_INFO'] == '/x':\n        KEPT.append(bytes(9))  # 1\n",
    "all others leave": (
        "async def leak(scope, receive):\n    if scope['type'] != 'http':\n        return\n"
        "    KEPT.append(bytes(9))  # 1\n"
    ),
    "one of several": (
        "def leak(request):\n    if request.path in ('/x', '/y'):\n        KEPT.append(bytes(9))  # 1\n"
        "    else:\n        print()\n"
    ),
    "a constant": "AUDIT = 1 == 1\n@app.task\ndef leak():\n    if AUDIT:\n        KEPT.append(bytes(9))  # 1\n",
    "a constant in what it calls": (
        "AUDIT = True\ndef note(one):\n    if AUDIT:\n        KEPT.append(one)\n"
        "@app.task\ndef leak():\n    note(bytes(9))  # 1\n"
    ),
}
OF_A_KIND |= {
    "a path that is passed on": (
        "def answer(path):\n    data = bytes(9)  # 1\n    if path == '/x' and AUDIT:\n        KEPT.append(data)\n"
        "AUDIT = 1 == 1\ndef leak(environ, start):\n    return [answer(environ['PATH_INFO'])]  # 2\n"
    ),
    "a path that is passed on by its name": (
        "class Views:\n    def answer(self, start, *, path):\n        if path == '/x':\n"
        "            KEPT.append(bytes(9))  # 1\n"
        "views = Views()\ndef leak(environ, start):\n    views.answer(start, path=environ['PATH_INFO'])  # 2\n"
    ),
    "a path that a method passes on": (
        "class View:\n    def get(self, request):\n        self.answer(request.path)  # 2\n"
        "    def answer(self, path):\n        if path == '/x':\n            KEPT.append(bytes(9))  # 1\n"
    ),
    "a path that is written out": (
        "def answer(path):\n    if path == '/x':\n        KEPT.append(bytes(9))  # 1\n"
        "@app.get('/x')\ndef leak():\n    answer('/x')  # 2\n"
    ),
}
MAY_BE_A_BOUND = {
    "a number": "def leak(request):\n    if request.id == 7:\n        KEPT.append(bytes(9))  # 1\n",
    "a number that is compared": "def leak(n):\n    if n < 100:\n        KEPT.append(bytes(9))  # 1\n",
    "an argument of one's own": (
        "def add(state):\n    if state == 'new':\n        KEPT.append(bytes(9))  # 1\n"
        "def leak(request):\n    add('new' if seldom() else 'old')  # 2\n"
    ),
    "one of two calls": (
        "def add(state):\n    if state == 'new':\n        KEPT.append(bytes(9))  # 1\n"
        "def leak(request):\n    add('old'), seldom() and add('new')  # 2\n"
    ),
    "an argument that is set again": (
        "def add(state):\n    state = state if seldom() else 'old'\n    if state == 'new':\n"
        "        KEPT.append(bytes(9))  # 1\ndef leak(request):\n    add('new')  # 2\n"
    ),
    "a path that is set again": (
        "def leak(path):\n    if seldom():\n        path = '/y'\n"
        "    if path != '/y':\n        KEPT.append(bytes(9))  # 1\n"
    ),
    "arguments that are spread": (
        "def add(state):\n    if state == 'new':\n        KEPT.append(bytes(9))  # 1\n"
        "def leak(request):\n    add(*states())  # 2\n"
    ),
    "a method through its class": (
        "class Views:\n    def add(self, state, path):\n        if path == '/x':\n"
        "            KEPT.append(bytes(9))  # 1\ndef leak(request):\n    Views.add(views, '/x', seldom())  # 2\n"
    ),
    "a variable that is set again": (
        "AUDIT = True\ndef leak(request):\n    global AUDIT\n    if AUDIT:\n        KEPT.append(bytes(9))  # 1\n"
        "    AUDIT = seldom()\n"
    ),
    "a variable that may be empty": (
        "AUDIT = {}\ndef leak(request):\n    if AUDIT:\n        KEPT.append(bytes(9))  # 1\n"
    ),
    "one more condition": (
        "def leak(request):\n    if request.path == '/x' and seldom():\n        KEPT.append(bytes(9))  # 1\n"
    ),
    "what leaves otherwise": ("def leak(request):\n    if seldom():\n        return\n    KEPT.append(bytes(9))  # 1\n"),
    "a loop that ends": (
        "def leak(request):\n    for each in rows():\n        if request.path == '/x':\n            return\n"
        "    KEPT.append(bytes(9))  # 1\n"
    ),
}


@pytest.mark.parametrize("code", OF_A_KIND.values(), ids=OF_A_KIND)
def test_what_requests_of_one_kind_add_to_only_grows(tmp_path: Path, code: str):
    assert find(tmp_path, APP + code, FLASK) is not None


@pytest.mark.parametrize("code", MAY_BE_A_BOUND.values(), ids=MAY_BE_A_BOUND)
def test_a_condition_on_anything_else_may_be_a_bound(tmp_path: Path, code: str):
    assert find(tmp_path, APP + code, FLASK) is None


@pytest.mark.parametrize("name", KEEPS)
def test_what_is_found_in_a_run_is_found_below_a_mark_but_for_what_a_driver_sets_up(tmp_path: Path, name: str):
    assert (find(tmp_path, KEEPS[name], MARK) is None) == (name == "of an object of setup")


@pytest.mark.parametrize("code", MAY_BE_BOUNDED.values(), ids=MAY_BE_BOUNDED)
@pytest.mark.parametrize("server", [FLASK, MARK], ids=["server", "mark"])
def test_nothing_is_said_of_a_container_that_may_have_a_bound(tmp_path: Path, code: str, server: Call):
    assert find(tmp_path, code, server) is None


@pytest.mark.parametrize(
    "code",
    [
        APP + "@app.route('/x')\ndef leak():\n    if seldom():\n        KEPT.append(bytes(9))  # 1\n",
        APP + "@cache.cached()\ndef leak():\n    KEPT.append(bytes(9))  # 1\n",
        APP + "@app.route('/x')\n@cached\ndef leak():\n    KEPT.append(bytes(9))  # 1\n",
        (
            "class User:\n    rows = []\n    @cached_property\n    def row(self):\n"
            "        self.rows.append(bytes(9))  # 1\ndef view(user):\n    return user.row  # 2\n"
        ),
        KEPT + "def load(key):\n    KEPT.append(bytes(9))  # 1\n"
        "def view(key):\n    if key not in SEEN:\n        SEEN[key] = load(key)  # 2\n",
        KEPT + "@app.get('/x')\ndef load():\n    KEPT.append(bytes(9))  # 1\ndef view():\n    load()  # 2\n",
        APP + "@app.task\ndef leak():\n    KEPT.append(bytes(9))  # 1\n@app.task\ndef trim():\n    del KEPT[100:]\n",
        APP + "@app.task\ndef leak():\n    KEPT.append(bytes(9))  # 1\ndef pool():\n    while len(KEPT) > 9: pass\n",
        APP + "@app.get('/x')\ndef leak():\n    yield KEPT.append(bytes(9))  # 1\n",
    ],
    ids=[
        "on a condition",
        "a view that is cached",
        "cached below its route",
        "a property that is cached",
        "called where a cache lacks it",
        "a decorator further in",
        "cut by another task",
        "its length is asked for",
        "a generator",
    ],
)
def test_what_a_server_may_not_reach_each_time_is_not_said_to_grow(tmp_path: Path, code: str):
    assert find(tmp_path, code, FLASK, SCRIPT) is None


def test_a_script_that_loops_has_no_function_that_each_cycle_calls(tmp_path: Path):
    code = KEPT + "def work():\n    KEPT.append(bytes(9))  # 1\nfor _ in range(5):\n    work()  # 2\n"

    assert find(tmp_path, code) is None


def test_of_a_stack_that_was_cut_nobody_knows_who_called_it(tmp_path: Path):
    code = APP + "@app.get('/x')\ndef leak():\n    KEPT.append(bytes(9))  # 1\n"

    assert find(tmp_path, code, *[FLASK] * 40) is not None
    assert find(tmp_path, code, *[FLASK] * 47) is None


CACHED = "from functools import lru_cache\nKEPT = []\n@lru_cache(999)\ndef load(key):\n    return bytes(9)  # 1\n"
BESIDE = {
    "a cache that is filled": "def view(request):\n    KEPT.append(now())\n    return load(request.path)  # 2\n",
    "a cache under a name": (
        "def view(request):\n    row = load(request.path)  # 2\n    KEPT.append(now())\n    return row\n"
    ),
    "a cache that gets the request": (
        "def view(request):\n    KEPT.append(request.path)\n    return load(request)  # 2\n"
    ),
    "a cache of its own": (
        "ROWS = {}\ndef view(request):\n    key = request.path\n    KEPT.append(now())\n"
        "    if key not in ROWS:\n        ROWS[key] = load(key)  # 2\n"
    ),
    "a cache beside what is called": (
        "def note(what):\n    KEPT.append(what)\n"
        "def view(request):\n    note(now())\n    return load(request.path)  # 2\n"
    ),
}
AND_KEPT = {
    "itself": "def view(request):\n    KEPT.append(load(request.path))  # 2\n",
    "under a name": "def view(request):\n    row = load(request.path)  # 2\n    KEPT.append((now(), row))\n",
    "of another name": "def view(request):\n    row = load(request)  # 2\n    both = [row]\n    KEPT.append(both)\n",
    "as an attribute": "def view(request):\n    one = One()\n    one.row = load(request)  # 2\n    KEPT.append(one)\n",
    "in a list": "def view(request):\n    rows = []\n    rows.append(load(request))  # 2\n    KEPT.append(rows)\n",
    "by what is called": (
        "def note(what):\n    KEPT.append(what)\ndef view(request):\n    row = load(request.path)  # 2\n    note(row)\n"
    ),
    "of a loop": "def view(request):\n    for row in load(request):  # 2\n        pass\n    KEPT.append(row)\n",
}


@pytest.mark.parametrize("code", BESIDE.values(), ids=BESIDE)
def test_what_a_cache_holds_is_not_kept_by_a_container_beside_it(tmp_path: Path, code: str):
    assert find(tmp_path, CACHED + code, FLASK) is None


@pytest.mark.parametrize("code", AND_KEPT.values(), ids=AND_KEPT)
def test_what_is_added_is_kept_by_way_of_variables_too(tmp_path: Path, code: str):
    assert find(tmp_path, CACHED + code, FLASK) is not None
