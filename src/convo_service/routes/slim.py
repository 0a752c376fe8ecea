"""A route for what is called with every message: declared like any other, without the framework's work in each call."""

import inspect
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError

from convo_service.errors import InvalidApiKey
from convo_service.routes.deps import Services, scopes_of
from convo_service.services.keys import Holder

JSON = "application/json"
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class SlimRoute(APIRoute):
    """For a handler of `body`, `services` and perhaps `response`, that needs a key.

    Whatever is not as it should be takes the framework's own way, which says what is wrong with it.
    """

    def get_route_handler(self) -> Handler:
        """What the framework calls for each request."""
        usual = super().get_route_handler()

        assert self.body_field is not None  # noqa: S101 - what this class is for
        model: Any = self.body_field.field_info.annotation
        scopes = scopes_of(self.dependencies)
        wants_response = "response" in inspect.signature(self.endpoint).parameters

        async def handle(request: Request) -> Response:
            services: Services = request.app.state.services
            body = await _body(request, model)
            holder = await _holder(request, services) if body is not None else None
            if body is None or holder is None or holder.scope not in scopes:
                return await usual(request)
            services.budgets.admit(holder.key_id)
            response = Response()
            more = {"response": response} if wants_response else {}
            result: BaseModel | Response = await self.endpoint(body=body, services=services, **more)
            if isinstance(result, Response):
                return result
            return Response(result.model_dump_json(), response.status_code, media_type=JSON)

        return handle


async def _body(request: Request, model: type[BaseModel]) -> BaseModel | None:
    """What was sent; None when it is nothing that the handler could take."""
    if request.scope["query_string"] or request.headers.get("content-type") != JSON:
        return None
    try:
        return model.model_validate_json(await request.body())
    except ValidationError:
        return None


async def _holder(request: Request, services: Services) -> Holder | None:
    """Who asks; None without a good key."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    try:
        return await services.keys.authenticate(key, now=services.clock())
    except InvalidApiKey:
        return None
