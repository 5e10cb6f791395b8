"""Whole messages as examples: each property of each contract has a value in one of them.

Tests validate each with its schema and decode it with our own codec.
"""

from typing import Any

_IMAGE = "https://shop.example/images/shirt-17-front.jpg"
_PNG = (  # one pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJg"
    "gg=="
)
_AT = "2026-05-01T12:00:00Z"

_PRODUCT: dict[str, Any] = {
    "product_id": "shirt-17",
    "title": "Blue linen shirt",
    "images": [
        {"image_id": "front", "url": _IMAGE, "kind": "catalog"},
        {"image_id": "worn", "data": _PNG, "kind": "lifestyle"},
    ],
    "description": "A light shirt for warm days.",
    "brand": "Acme",
    "category": "Men/Shirts",
    "tags": ["linen", "summer"],
    "attributes": {"color": "blue", "fit": "slim"},
    "url": "https://shop.example/shirt-17",
    "price": 29.9,
    "currency": "EUR",
    "in_stock": True,
}

_OFFER = {"product_id": "shirt-17", "price": 24.9, "currency": "EUR", "in_stock": False}


def _event(event_type: str, number: int, product: dict[str, Any]) -> dict[str, Any]:
    return {
        "event_id": f"event-{number}",
        "event_type": event_type,
        "occurred_at": _AT,
        "version": number,
        "product": product,
    }


_REQUEST: dict[str, Any] = {
    "request_id": "request-1",
    "query": {
        "images": [{"url": _IMAGE, "weight": 0.7}, {"data": _PNG, "weight": 0.2}],
        "texts": [{"text": "blue shirt"}, {"text": "striped", "weight": -0.5}],
        "similar_to": "shirt-17",
    },
    "filters": {
        "category": ["Men/Shirts"],
        "brand": ["Acme", "Globex"],
        "tags": ["linen"],
        "price_min": 10,
        "price_max": 60,
        "in_stock": True,
        "attributes": {"fit": "slim"},
        "exclude": ["shirt-3"],
    },
    "top_k": 40,
    "recall_target": 0.95,
    "diversity": 0.3,
    "collapse_duplicates": True,
    "image_kind": "catalog",
    "preprocess": {"lighting": False, "background": False, "crops": True, "align": False},
    "explain": ["shirt-3"],
    "deadline_ms": 5000,
}
_SHORT_REQUEST = {
    "request_id": "request-2",
    "query": {"image": _IMAGE, "text": "in green", "text_weight": 0.4},
    "explain": True,
}
_VECTOR_REQUEST = {
    "request_id": "request-3",
    "query": {"vector": [0.12, -0.5, 0.33], "similar_to": ["shirt-17", "shirt-18"]},
}
_LOOK_REQUEST = {
    "request_id": "request-4",
    "query": {"image": _IMAGE},
    "mode": "look",
    "boxes": [{"box": [0.1, 0.05, 0.9, 0.55], "category": "Men/Shirts"}],
    "max_regions": 4,
    "deadline_ms": 10_000,
}

_PARTS = [{"field": "query.texts[0]", "weight": 1.0, "similarity": 0.83, "contribution": 0.83}]
_PASSED = {"field": "price_max", "wanted": "60", "has": "29.9", "passed": True}
_FAILED = {"field": "price_max", "wanted": "60", "has": "79.0", "passed": False}
_VARIANT: dict[str, Any] = {
    "product_id": "shirt-18",
    "score": 0.81,
    "image_id": "front",
    "title": "Green linen shirt",
    "price": 29.9,
    "currency": "EUR",
    "in_stock": True,
    "url": "https://shop.example/shirt-18",
    "attributes": {"color": "green", "fit": "slim"},
}
_HIT: dict[str, Any] = {
    "product_id": "shirt-17",
    "score": 0.83,
    "image_id": "front",
    "title": "Blue linen shirt",
    "category": "Men/Shirts",
    "brand": "Acme",
    "price": 29.9,
    "currency": "EUR",
    "in_stock": True,
    "url": "https://shop.example/shirt-17",
    "attributes": {"color": "blue", "fit": "slim"},
    "variants": [_VARIANT],
    "guessed": {"sleeve": {"value": "short", "confidence": 0.92}},
    "explain": {"rank": 1, "filters": [_PASSED], "parts": _PARTS},
}
_PLAN = {"strategy": "graph", "selectivity": 0.21, "matches": 212, "visited": 480, "ef": 96}
_INDEX = {"products": 1000, "vectors": 2100, "model": "lite:2", "watermark": _AT}
_TOOK = {"fetch": 31.2, "embed": 18.4, "search": 1.7, "total": 52.6}
_ONE_SHARD = {"answered": 1, "total": 1}

_RESULT: dict[str, Any] = {
    "request_id": "request-1",
    "status": "ok",
    "hits": [_HIT],
    "regions": None,
    "hints": [{"field": "filters.brand", "value": "Globex", "close": ["Globe"]}],
    "plan": _PLAN,
    "served_by": "hnsw",
    "index": _INDEX,
    "shards": _ONE_SHARD,
    "took_ms": _TOOK,
    "error": None,
    "explained": [
        {
            "product_id": "shirt-3",
            "status": "filtered",
            "text": "the filters leave it out: price_max is 60, and it has 79.0",
            "filters": [_FAILED],
            "parts": _PARTS,
            "image_id": "front",
            "score": 0.79,
            "rank": None,
            "matches": 212,
            "pushed_out_by": None,
        },
        {
            "product_id": "shirt-4",
            "status": "outranked",
            "text": "it is number 57 of 212 products that satisfy the filters",
            "filters": [_PASSED],
            "parts": _PARTS,
            "image_id": "front",
            "score": 0.61,
            "rank": 57,
            "matches": 212,
            "pushed_out_by": {"product_id": "shirt-9", "title": "White shirt", "score": 0.66},
        },
    ],
}
_LOOK_RESULT = {
    "request_id": "request-4",
    "status": "ok",
    "hits": [_HIT],
    "regions": [
        {
            "box": [0.1, 0.05, 0.9, 0.55],
            "category": "Men/Shirts",
            "score": 0.88,
            "hits": [_HIT],
            "plan": _PLAN,
        }
    ],
    "served_by": "hnsw",
    "index": _INDEX,
    "shards": _ONE_SHARD,
    "took_ms": _TOOK,
}
_PARTIAL_RESULT = {
    "request_id": "request-2",
    "status": "partial",
    "hits": [_HIT],
    "plan": _PLAN,
    "served_by": "hnsw",
    "index": _INDEX,
    "shards": {"answered": 3, "total": 4},
    "took_ms": _TOOK,
}
_ERROR_RESULT = {
    "request_id": "request-5",
    "status": "error",
    "took_ms": _TOOK,
    "error": {
        "code": "field_invalid",
        "message": 'query.texts[0].text: Expected `str` of length >= 1; given was ""; fill it, '
        "or leave it out",
        "field": "query.texts[0].text",
    },
}

_HEARTBEAT = {
    "worker_id": "worker-1",
    "url": "http://worker-1.search.example:8080",
    "roles": ["ingest", "search"],
    "version": "0.1.0",
    "ready": True,
    "offsets": {"0": 1207, "1": 1188},
    "started_at": _AT,
}

EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "product-created": [_event("product-created", 1, _PRODUCT)],
    "product-updated": [_event("product-updated", 2, _PRODUCT | {"tags": ["linen", "sale"]})],
    "product-offer-updated": [_event("product-offer-updated", 3, _OFFER)],
    "product-deleted": [_event("product-deleted", 4, {"product_id": "shirt-17"})],
    "search-request": [_REQUEST, _SHORT_REQUEST, _VECTOR_REQUEST, _LOOK_REQUEST],
    "search-result": [_RESULT, _LOOK_RESULT, _PARTIAL_RESULT, _ERROR_RESULT],
    "worker-heartbeat": [_HEARTBEAT],
}
"""Messages by the name of their contract."""
