#!/usr/bin/env python3
"""Enrols a person from one photo and looks for them in another: every kind of call, from the proto alone.

Prints one line of JSON a step. With a key that may not do a step, or without a server, it prints the refusal and exits with 1.
"""

import argparse
import json
import sys
from pathlib import Path

import grpc

from harmonid.v1 import common_pb2, identity_pb2, identity_pb2_grpc
from server import HarmonidError, open_channel

# Seconds that a call may take.
TIMEOUT = 30


def enroll(people, identity, photo):
    """Twice with one key: the second time nothing is added."""
    request = identity_pb2.EnrollRequest(identity=identity, images=[photo], idempotency_key=f"{identity}-1")
    first = people.Enroll(request, timeout=TIMEOUT)
    again = people.Enroll(request, timeout=TIMEOUT)
    return {"created": first.created, "templates": len(first.templates), "replayed": again.replayed}


def identify(people, photo):
    request = identity_pb2.IdentifyRequest(
        sample=common_pb2.Sample(image=photo), faces=common_pb2.FACE_SELECTION_LARGEST
    )
    return who(people.Identify(request, timeout=TIMEOUT))


def verify(people, identity, photo):
    request = identity_pb2.VerifyRequest(identity=identity, sample=common_pb2.Sample(image=photo))
    answer = people.Verify(request, timeout=TIMEOUT)
    return {"decision": identity_pb2.Decision.Name(answer.decision), "within": answer.distance <= answer.threshold}


def identify_stream(people, photos):
    """A camera: frames go out as they come, answers come back beside them. The last frame is always answered."""

    def frames():
        for sequence, photo in enumerate(photos):
            frame = identity_pb2.IdentifyRequest(sample=common_pb2.Sample(image=photo))
            request = identity_pb2.IdentifyStreamRequest(sequence=sequence, frame=frame)
            request.captured_at.GetCurrentTime()
            yield request

    answers = []
    for answer in people.IdentifyStream(frames()):
        outcome = who(answer.answer) if answer.HasField("answer") else HarmonidError.of_message(answer.error).code
        answers.append({"sequence": answer.sequence, "dropped": answer.dropped, "outcome": outcome})
    return answers


def refusals(people, identity, photo):
    """What the server refuses, by code and with the facts beside it."""
    attempts = {
        "nobody of that name": lambda: verify(people, "nobody", photo),
        "somebody else's face": lambda: enroll(people, f"not-{identity}", photo),
        "no image": lambda: identify(people, b"no image"),
    }
    found = {}
    for name, attempt in attempts.items():
        try:
            attempt()
        except grpc.RpcError as error:
            refusal = HarmonidError.of_call(error)
            found[name] = {"status": error.code().name, "code": refusal.code, "details": refusal.details}
    return found


def who(answer):
    """The first face's: the proto's names, and the nearest person."""
    first = answer.identifications[0]
    nearest = first.candidates[0].identity if first.candidates else None
    return {"decision": identity_pb2.Decision.Name(first.decision), "nearest": nearest}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("server", help="host:port")
    parser.add_argument("enrolled", type=Path, help="a photo of one person")
    parser.add_argument("probe", type=Path, help="another photo of the person")
    parser.add_argument("--ca", type=Path, help="PEM of the authority that signed the server's certificate")
    parser.add_argument("--key-file", type=Path, help="a key of `harmonid keys add`")
    options = parser.parse_args()
    ca = options.ca.read_bytes() if options.ca else None
    key = options.key_file.read_text().strip() if options.key_file else None
    enrolled, probe = options.enrolled.read_bytes(), options.probe.read_bytes()
    with open_channel(options.server, ca, key) as channel:
        people = identity_pb2_grpc.IdentityServiceStub(channel)
        steps = {
            "enroll": lambda: enroll(people, "alice", enrolled),
            "identify": lambda: identify(people, probe),
            "verify": lambda: verify(people, "alice", probe),
            "identify_stream": lambda: identify_stream(people, [b"no image", probe]),
            "refusals": lambda: refusals(people, "alice", probe),
        }
        try:
            for name, step in steps.items():
                print(json.dumps({name: step()}), flush=True)
        except grpc.RpcError as error:
            print(json.dumps({"refused": HarmonidError.of_call(error).code}))
            sys.exit(1)


if __name__ == "__main__":
    main()
