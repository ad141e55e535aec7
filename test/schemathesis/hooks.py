"""Hooks for schemathesis: who calls, and in which organization. See CONTRIBUTING."""

import json
import os
import random
import urllib.request

import schemathesis

AUTH_MODULE_URL = os.environ.get("AUTH_MODULE_URL", "http://127.0.0.1:4000")
AUTH_MODULE_TOKEN = os.environ["AUTH_MODULE_TOKEN"]
ORGANIZATION = "acme"
# the others are foreign or unknown organizations, which must be refused
SHARE_OF_OWN_ORGANIZATION = 0.85


def mint(claims):
    """A token of the reference Auth Module's demo endpoint."""
    request = urllib.request.Request(
        f"{AUTH_MODULE_URL}/demo/tokens",
        data=json.dumps(claims).encode(),
        headers={"authorization": f"Bearer {AUTH_MODULE_TOKEN}", "content-type": "application/json"},
    )
    answer = json.load(urllib.request.urlopen(request))
    return next(value for value in answer.values() if isinstance(value, str) and value.startswith("ey"))


# short, for a fuzzed call may end the session that the token is of
@schemathesis.auth(refresh_interval=3)
class Caller:
    def get(self, case, context):
        return {
            "admin": mint({"sub": "ada", "org_id": ORGANIZATION, "roles": ["org_admin"]}),
            "/v1/session-events": mint({"machine": True, "scope": "sessions:ingest"}),
            "/v1/support-access/check": mint({"machine": True, "scope": "support-access:check"}),
        }

    def set(self, case, tokens, context):
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Bearer {tokens.get(case.operation.path, tokens['admin'])}"


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    if path_parameters and "org" in path_parameters and random.random() < SHARE_OF_OWN_ORGANIZATION:
        path_parameters["org"] = ORGANIZATION
    return path_parameters
