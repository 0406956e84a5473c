"""A call with a `request_id` happens once; a second one gets the first one's answer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from google.protobuf.message import Message
from sqlalchemy import select

from erp_modules.kernel.context import Context
from erp_modules.kernel.errors import InvalidArgument
from erp_modules.kernel.models import RequestRecord

_LONGEST = 128


def once(
    ctx: Context,
    method: str,
    request: Message,
    answer: type[Message],
    work: Callable[[], Message],
) -> tuple[Message, bool]:
    """Return what `work` answers and True, or the `answer` to the same request before and False.

    The id is the caller's own: another principal's is another. It is kept in the transaction of
    `work`, so it is known exactly when the effects are.

    Raises:
        InvalidArgument: the id is too long, or was used with another request.
    """
    request_id: str = getattr(request, "request_id", "")
    if not request_id:
        return work(), True
    if len(request_id) > _LONGEST:
        raise InvalidArgument.field("request_id", f"longer than {_LONGEST} characters")
    fingerprint = hashlib.sha256(request.SerializeToString(deterministic=True)).digest()
    known = ctx.session.scalars(
        select(RequestRecord).where(
            RequestRecord.method == method,
            RequestRecord.principal == ctx.principal.id,
            RequestRecord.request_id == request_id,
        )
    ).first()
    if known is not None:
        if known.fingerprint != fingerprint:
            raise InvalidArgument.field(
                "request_id", f"{request_id!r} was used with another request: make a new one"
            )
        return answer.FromString(known.response), False
    response = work()
    ctx.session.add(
        RequestRecord(
            organisation=ctx.organisation,
            site="",
            method=method,
            principal=ctx.principal.id,
            request_id=request_id,
            fingerprint=fingerprint,
            response=response.SerializeToString(),
            create_time=ctx.now(),
        )
    )
    return response, True
