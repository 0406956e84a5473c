"""Fill the books of a new installation with the demo plant's machines and its store."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headrace.client import ApiClient, ApiError

STORES = Path(__file__).with_name("stores.toml")


@dataclass(frozen=True, slots=True)
class Machine:
    """What the books know of a machine before it ever speaks."""

    tag: str
    equipment_class: str
    path: str
    display_name: str
    criticality: str = "HIGH"


def _create(client: ApiClient, collection: str, body: dict[str, Any]) -> None:
    """Post a resource; one that is there already stays as it is."""
    try:
        client.post(f"/v1/{collection}", body)
    except ApiError as error:
        if error.code != "ALREADY_EXISTS":
            raise


def fill(client: ApiClient, site: str, machines: Iterable[Machine]) -> None:
    """Create machines, vendors, bins, parts, their first stock and their spares; twice is once.

    Raises:
        ApiError: the server refused one of them.
    """
    machines = list(machines)
    classes = sorted({m.equipment_class for m in machines})
    for machine in machines:
        _create(
            client,
            "equipment",
            {
                "site": site,
                "tag": machine.tag,
                "displayName": machine.display_name,
                "equipmentClass": machine.equipment_class,
                "path": machine.path,
                "criticality": f"CRITICALITY_{machine.criticality}",
            },
        )
    stores = tomllib.loads(STORES.read_text(encoding="utf-8"))
    for vendor in stores["vendors"]:
        _create(client, "vendors", {"site": site, **vendor})
    for place in stores["bins"]:
        _create(client, "bins", {"site": site, **place})
    vendors = {v["displayName"]: v["name"] for v in client.list("vendors", site=site)}
    bins = {b["code"]: b["name"] for b in client.list("bins", site=site)}
    for part in stores["parts"]:
        _create(
            client,
            "parts",
            {
                "site": site,
                "partNumber": part["partNumber"],
                "displayName": part["displayName"],
                "unit": part["unit"],
                "reorderPoint": part["reorderPoint"],
                "reorderQuantity": part["reorderQuantity"],
                "unitPrice": _euros(part["price"]),
                "leadTimeDays": part["leadTimeDays"],
                "preferredVendor": vendors[part["vendor"]],
                "defaultBin": bins[part["bin"]],
            },
        )
    names = {p["partNumber"]: p["name"] for p in client.list("parts", site=site)}
    for part in stores["parts"]:
        number, name = part["partNumber"], names[part["partNumber"]]
        _create(
            client,
            f"stockMovements?requestId=opening-{site}-{number}",
            {
                "site": site,
                "part": name,
                "bin": bins[part["bin"]],
                "type": "MOVEMENT_TYPE_RECEIPT",
                "quantity": part["onHand"],
                "unitCost": _euros(part["price"]),
                "reference": "opening balance",
            },
        )
        wanted = classes if part["equipmentClasses"] == ["*"] else part["equipmentClasses"]
        for equipment_class in wanted:
            for mode in part["failureModes"]:
                _create(
                    client,
                    f"spares?requestId=spare-{site}-{equipment_class}-{mode}-{number}",
                    {
                        "site": site,
                        "equipmentClass": equipment_class,
                        "failureMode": f"FAILURE_MODE_{mode}",
                        "part": name,
                        "quantity": part["quantity"],
                    },
                )


def _euros(amount: str) -> dict[str, str]:
    return {"currencyCode": "EUR", "amount": amount}
