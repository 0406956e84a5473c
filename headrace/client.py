"""Talk to the API as a person would: signed in, over REST."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self

import httpx

Resource = dict[str, Any]


class ApiError(RuntimeError):
    """The API refused; `status` is the HTTP status, `code` the gRPC name when there is one."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class ApiClient:
    """A session over REST: signed in, or with a bearer token."""

    def __init__(self, base_url: str, timeout: float = 15.0, token: str = "") -> None:
        headers = {"Origin": base_url} | ({"Authorization": f"Bearer {token}"} if token else {})
        self._http = httpx.Client(
            base_url=base_url, timeout=timeout, headers=headers, trust_env=False
        )

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        self._http.close()

    def ready(self) -> bool:
        """Say whether the server answers and all its parts run."""
        try:
            return self._http.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def sign_in(self, user: str, password: str) -> None:
        """Open a session.

        Raises:
            ApiError: wrong user or password.
        """
        self.post("/v1/session", {"user": user, "password": password})

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Resource:
        """Return what `path` answers.

        Raises:
            ApiError: any status of 400 or more.
        """
        return self._answer(self._http.get(path, params=params))

    def post(self, path: str, body: Mapping[str, Any]) -> Resource:
        """Post `body` as JSON and return the answer.

        Raises:
            ApiError: any status of 400 or more.
        """
        return self._answer(self._http.post(path, json=body))

    def list(self, collection: str, **filters: Any) -> Iterator[Resource]:
        """Yield every resource of a collection, page by page.

        Raises:
            ApiError: any status of 400 or more.
        """
        token = ""
        while True:
            page = self.get(f"/v1/{collection}", {**filters, "pageSize": 200, "pageToken": token})
            yield from page.get(collection, [])
            token = page.get("nextPageToken", "")
            if not token:
                return

    @staticmethod
    def _answer(response: httpx.Response) -> Resource:
        if response.is_error:
            try:
                problem = response.json()
            except ValueError:
                problem = {}
            detail = problem.get("detail") or problem.get("title") or response.text[:300]
            fields = "; ".join(f"{e['field']}: {e['message']}" for e in problem.get("errors", []))
            raise ApiError(
                response.status_code,
                problem.get("code", ""),
                f"{response.request.method} {response.request.url.path}: {detail}"
                + (f" ({fields})" if fields else ""),
            )
        return dict(response.json()) if response.content else {}
