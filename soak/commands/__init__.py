"""What is done at the door: one module a command, imported only when it is called.

A command's module has its help as docstring, ``add_arguments(parser)`` and ``run(options) -> exit code``.
"""

COMMANDS = {
    "run": "soak components one by one and say which one grows, by how much, and how sure that is",
    "resume": "go on with a run that was cut off",
    "watch": "the same verdicts on a program that knows nothing of soak, Python or not",
    "judge": "a verdict on anybody's iteration,value series (an RSS log, say)",
    "list": "the runs there are",
    "clean": "remove all but the newest runs",
    "show": "what a run found, in the terminal",
    "report": "make a run's reports again from its database",
    "compare": "two runs against each other: which leaks are new, gone, worse or better",
    "bisect": "which release of a package is the first that leaks, or the first that no longer does",
    "export": "a run's raw readings as CSV",
    "profile": "where the time of a cycle goes: cProfile of each component, and all of them merged",
    "view": "profiles in SnakeViz, reports beside them, in the browser",
    "doctor": "can this machine measure? what is missing, and what that means",
}
"""Every command with its one line, in the order of ``soak --help``."""
