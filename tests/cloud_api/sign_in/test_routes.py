"""Signing in, over HTTP."""

from __future__ import annotations

import secrets
import sqlite3
from typing import Any

import httpx


def test_sign_in_and_out(server: Any) -> None:
    with server.stranger() as client:
        assert client.get("/v1/session").status_code == 401
        answer = client.post("/v1/session", json={"user": "admin", "password": server.password})
        assert answer.json()["user"] == "admin"
        assert answer.json()["roles"] == ["admin"]
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert "Secure" not in cookie
        assert client.get("/v1/session").json()["user"] == "admin"
        kept = client.cookies["headrace_session"]
        assert client.delete("/v1/session").status_code == 204
        assert "headrace_session" not in client.cookies
        client.cookies["headrace_session"] = kept
        assert client.get("/v1/session").status_code == 401


def test_the_cookie_is_secure_over_https(server: Any) -> None:
    with server.stranger() as client:
        answer = client.post(
            "/v1/session",
            json={"user": "admin", "password": server.password},
            headers={"X-Forwarded-Proto": "https"},
        )
    assert "Secure" in answer.headers["set-cookie"]
    assert answer.headers["strict-transport-security"]


def test_a_token_is_kept_as_a_hash_only(server: Any, browser: httpx.Client) -> None:
    session = browser.cookies["headrace_session"]
    token = browser.post("/v1/session/tokens", json={"title": "report"}).json()["token"]
    database = sqlite3.connect(server.directory / "headrace.db")
    dump = "\n".join(database.iterdump())
    database.close()
    assert "$argon2id$" in dump
    for secret in (session, token, server.password):
        assert secret not in dump


def test_a_wrong_password_and_no_user_answer_alike(stranger: httpx.Client) -> None:
    answers = [
        stranger.post("/v1/session", json={"user": user, "password": "no"})
        for user in ("admin", f"nobody-{secrets.token_hex(4)}")
    ]
    assert [a.status_code for a in answers] == [401, 401]
    problems = [a.json() for a in answers]
    for problem in problems:
        problem.pop("traceId", None)
    assert problems[0] == problems[1]
    assert answers[0].headers["content-type"] == "application/problem+json"


def test_guessing_is_slowed_down(stranger: httpx.Client) -> None:
    guess = {"user": f"mallory-{secrets.token_hex(4)}", "password": "no"}
    statuses = [stranger.post("/v1/session", json=guess).status_code for _ in range(6)]
    assert statuses == [401] * 5 + [429]
    answer = stranger.post("/v1/session", json=guess)
    assert int(answer.headers["retry-after"]) > 1


def test_bad_input_names_the_field(stranger: httpx.Client) -> None:
    answer = stranger.post("/v1/session", json={"user": "admin"})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert [e["field"] for e in answer.json()["errors"]] == ["password"]
    assert stranger.post("/v1/session", content=b"{").status_code == 400
    large = b'{"user": "' + b"a" * 9 * 1024 * 1024
    assert stranger.post("/v1/session", content=large).status_code == 400


def test_other_sites_cannot_use_the_session(server: Any, browser: httpx.Client) -> None:
    body = {"title": "stolen"}
    evil = browser.post("/v1/session/tokens", json=body, headers={"Origin": "https://evil.example"})
    assert evil.status_code == 403
    assert "evil.example" in evil.json()["detail"]
    hidden = browser.post("/v1/session/tokens", json=body, headers={"Origin": "null"})
    assert hidden.status_code == 403
    without = httpx.post(
        f"{server.url}/v1/session/tokens",
        json=body,
        cookies={"headrace_session": browser.cookies["headrace_session"]},
        trust_env=False,
    )
    assert without.status_code == 403
    titles = [t["title"] for t in browser.get("/v1/session/tokens").json()["tokens"]]
    assert "stolen" not in titles


def test_a_personal_token_acts_for_its_user_until_it_is_taken_back(
    server: Any, browser: httpx.Client
) -> None:
    made = browser.post("/v1/session/tokens", json={"title": "nightly report"}).json()
    bearer = {"Authorization": f"Bearer {made['token']}"}
    with httpx.Client(base_url=server.url, headers=bearer, trust_env=False) as script:
        assert script.get("/v1/session").json()["user"] == "admin"
        assert script.get("/v1/tickets").status_code == 200
        assert script.post("/v1/session/tokens", json={"title": "more"}).status_code == 403
        listed = browser.get("/v1/session/tokens").json()["tokens"]
        assert made["id"] in [t["id"] for t in listed]
        assert all("token" not in t for t in listed)
        assert browser.delete(f"/v1/session/tokens/{made['id']}").status_code == 204
        assert script.get("/v1/session").status_code == 401
    assert browser.delete(f"/v1/session/tokens/{made['id']}").status_code == 404


def test_signing_in_is_in_the_audit_trail(server: Any, browser: httpx.Client) -> None:
    database = sqlite3.connect(server.directory / "headrace.db")
    rows = database.execute(
        "select principal, detail from kernel_audit where action = 'sign_in'"
    ).fetchall()
    database.close()
    assert ("users/admin", "from 127.0.0.1") in rows
