"""POST /graphql: a query in, `data` or `errors` out."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.api.calls import Answer, Call, Route
from sandbox.graphql.resolvers import Resolvers
from sandbox.refusal import Refusal, bad_request

if TYPE_CHECKING:
    from graphql import GraphQLError, GraphQLSchema


async def answer(call: Call) -> Answer:
    """Problems are answered with 200, as GraphQL has it."""
    body = call.body()
    text, name, variables = body.get("query"), body.get("operationName") or None, body.get("variables") or {}
    if not isinstance(text, str) or not isinstance(variables, dict):
        raise bad_request("query must be a text, variables an object")
    # With the first query, not with the server: most sandboxes never see one, and loading takes 0.1 s.
    from graphql import graphql

    roots = Resolvers(call.plant, call.token).roots()
    result = await graphql(_schema(), text, roots, variable_values=variables, operation_name=name)
    # Most of flyctl's queries have no name; the log calls them by their first field.
    call.request.scope["operation"] = name or next(iter(result.data or ()), None)
    if not result.errors:
        return Answer(200, {"data": result.data})
    return Answer(200, {"data": result.data, "errors": [_problem(error) for error in result.errors]})


def _problem(error: "GraphQLError") -> dict[str, Any]:
    from graphql import GraphQLError

    cause = error.original_error
    if isinstance(cause, Refusal):
        code = "NOT_FOUND" if cause.status == 404 else "UNPROCESSABLE"
    elif cause is None or isinstance(cause, GraphQLError):
        code = "INVALID"  # the query itself
    else:
        raise cause
    return {**error.formatted, "extensions": {"code": code}}


@cache
def _schema() -> "GraphQLSchema":
    from graphql import build_schema

    return build_schema(Path(__file__).with_name("schema.graphql").read_text())


ROUTES = (Route("POST", "/graphql", answer),)
