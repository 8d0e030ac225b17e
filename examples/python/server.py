"""A channel to a harmonid server, and its refusals as one class of exceptions.

The code of a refusal comes in the trailer `harmonid-code`; the facts beside it in a google.rpc.ErrorInfo. A failure without that
trailer is the transport's own.
"""

import json

import grpc
from google.rpc import error_details_pb2, status_pb2

# Calls that change nothing are made again while there is no server; the server's hint when to come again is heeded.
_SERVICE_CONFIG = json.dumps(
    {
        "methodConfig": [
            {
                "name": [
                    {"service": "harmonid.v1.IdentityService", "method": method}
                    for method in ("Identify", "Verify", "Embed", "GetIdentity", "ListIdentities")
                ],
                "retryPolicy": {
                    "maxAttempts": 4,
                    "initialBackoff": "0.2s",
                    "maxBackoff": "5s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ]
    }
)


class HarmonidError(Exception):
    """A refusal: `code` is a name in harmonid's table, `details` the facts beside it."""

    def __init__(self, code, message, details):
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.details = details

    @classmethod
    def of_call(cls, error):
        """Of a failed call, a grpc.RpcError."""
        trailer = dict(error.trailing_metadata() or ())
        code = trailer.get("harmonid-code", error.code().name)
        return cls(code, error.details(), _facts(trailer.get("grpc-status-details-bin")))

    @classmethod
    def of_message(cls, error):
        """Of one frame or item, a harmonid.v1.Error."""
        return cls(error.code, error.message, {name: json.loads(text) for name, text in error.details.items()})


def _facts(encoded):
    if encoded is None:
        return {}
    info = error_details_pb2.ErrorInfo()
    for detail in status_pb2.Status.FromString(encoded).details:
        if detail.Unpack(info):
            return {name: json.loads(text) for name, text in info.metadata.items()}
    return {}


def open_channel(address, ca=None, key=None):
    """Encrypted where `ca` (PEM, bytes) is given. A key goes over an encrypted channel only."""
    options = [("grpc.service_config", _SERVICE_CONFIG), ("grpc.max_receive_message_length", 32 * 1024 * 1024)]
    if ca is None:
        if key is not None:
            raise ValueError("a key would go unencrypted; name the authority of the server's certificate")
        return grpc.insecure_channel(address, options)
    credentials = grpc.ssl_channel_credentials(root_certificates=ca)
    if key is not None:
        # Sends `authorization: Bearer <key>` with every call.
        credentials = grpc.composite_channel_credentials(credentials, grpc.access_token_call_credentials(key))
    return grpc.secure_channel(address, credentials, options)
