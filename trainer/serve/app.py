"""The service as an application of FastAPI: its four addresses."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from trainer.serve import page
from trainer.serve.bodies import Bodies
from trainer.serve.problem import ProblemError, as_json, failed
from trainer.serve.service import Service

PATHS = "GET /, GET /schema, GET /health, POST /predict"
JSON = "application/json"


def make(service: Service, ready: Callable[[], None] = lambda: None) -> FastAPI:
    """The application; `ready` is called when it can answer."""

    @asynccontextmanager
    async def living(app: FastAPI) -> AsyncIterator[None]:
        await service.start()
        ready()
        yield
        service.close()

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=living)
    bodies = Bodies(service.limits)
    shown, policy = page.read()
    schema = as_json(service.schema())

    @app.api_route("/", methods=["GET", "HEAD"])
    async def index() -> Response:
        return Response(shown, media_type="text/html", headers={"Content-Security-Policy": policy})

    @app.api_route("/schema", methods=["GET", "HEAD"])
    async def described() -> Response:
        return Response(schema, media_type=JSON)

    @app.api_route("/health", methods=["GET", "HEAD"])
    async def health() -> Response:
        return Response(as_json(service.health()), media_type=JSON)

    @app.post("/predict")
    async def predict(request: Request) -> Response:
        media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if not service.input.takes(media):
            said = "another Content-Type than this model takes" if media else "no Content-Type"
            raise ProblemError(415, f"the request has {said}", service.input.wanted)
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            raise ProblemError(415, "the body is compressed", "send it as it is, without Content-Encoding")
        async with bodies.of(request) as body:
            found = await service.answer(body)
        return Response(as_json(found), media_type=JSON)

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code != 405:
            return _response(ProblemError(error.status_code, "there is nothing at this address", f"there are {PATHS}"))
        methods = ", ".join(sorted((error.headers or {}).get("Allow", "").split(", ")))
        answer = _response(ProblemError(405, f"this address takes {methods} only", f"there are {PATHS}"))
        answer.headers["Allow"] = methods
        return answer

    @app.exception_handler(ProblemError)
    async def told(request: Request, error: Exception) -> Response:
        assert isinstance(error, ProblemError)
        return _response(error)

    @app.exception_handler(Exception)
    async def broken(request: Request, error: Exception) -> Response:
        return _response(failed())  # the guard, which the error comes to next, shows it

    return app


def _response(problem: ProblemError) -> Response:
    return Response(problem.body, problem.status, problem.headers)
