"""The application of web.py, in FastAPI."""

from fastapi import FastAPI, Response
from web import answer

app = FastAPI()


@app.get("/report")
async def report():
    """Keep 1 kB, or nothing."""
    return Response(answer("/report"), media_type="application/json")


@app.get("/ok")
async def ok():
    """Keep nothing."""
    return Response(answer("/ok"), media_type="application/json")


@app.get("/items/{number}")
async def items(number: int):
    """Keep nothing, on a route with a parameter."""
    return Response(answer(f"/items/{number}"), media_type="application/json")
