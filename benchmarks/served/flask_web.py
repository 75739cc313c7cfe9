"""The application of web.py, in Flask."""

from flask import Flask
from web import answer

app = Flask(__name__)


@app.get("/report")
def report():
    """Keep 1 kB, or nothing."""
    return answer("/report")


@app.get("/ok")
def ok():
    """Keep nothing."""
    return answer("/ok")


@app.get("/items/<int:number>")
def items(number):
    """Keep nothing, on a route with a parameter."""
    return answer(f"/items/{number}")
