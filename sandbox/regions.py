"""Where a machine can be. Names for flyctl's tables; everything runs here anyway."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Region:
    code: str
    name: str
    latitude: float
    longitude: float


ALL = (
    Region("ams", "Amsterdam, Netherlands", 52.37, 4.90),
    Region("fra", "Frankfurt, Germany", 50.17, 8.54),
    Region("iad", "Ashburn, Virginia (US)", 39.02, -77.54),
    Region("lhr", "London, United Kingdom", 51.51, -0.21),
    Region("ord", "Chicago, Illinois (US)", 41.89, -87.65),
    Region("sjc", "San Jose, California (US)", 37.35, -121.96),
)
DEFAULT = "ord"


def graphql(region: Region) -> dict[str, Any]:
    return {
        "code": region.code,
        "name": region.name,
        "latitude": region.latitude,
        "longitude": region.longitude,
        "gatewayAvailable": True,
        "requiresPaidPlan": False,
        "deprecated": False,
    }


def wire(region: Region) -> dict[str, Any]:
    return {
        "code": region.code,
        "name": region.name,
        "latitude": region.latitude,
        "longitude": region.longitude,
        "gateway_available": True,
        "requires_paid_plan": False,
        "deprecated": False,
    }
