#!/usr/bin/env python3
"""Any gRPC server with reflection, from the command line: lists its services, describes them, calls them with JSON.

Knows nothing of harmonid: everything comes from the server. A call takes one JSON object a request from the standard input, for all four
kinds of methods, and prints one JSON object an answer.
"""

import argparse
import json
import sys
from pathlib import Path

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory, text_format

# grpc/reflection/v1/reflection.proto, without what is not used here.
_REFLECTION = """
name: "reflection.proto" package: "grpc.reflection.v1" syntax: "proto3"
message_type { name: "ServerReflectionRequest"
  field { name: "file_by_filename" number: 3 type: TYPE_STRING label: LABEL_OPTIONAL }
  field { name: "file_containing_symbol" number: 4 type: TYPE_STRING label: LABEL_OPTIONAL }
  field { name: "list_services" number: 7 type: TYPE_STRING label: LABEL_OPTIONAL } }
message_type { name: "ServerReflectionResponse"
  field { name: "file_descriptor_response" number: 4 type: TYPE_MESSAGE label: LABEL_OPTIONAL
    type_name: ".grpc.reflection.v1.FileDescriptorResponse" }
  field { name: "list_services_response" number: 6 type: TYPE_MESSAGE label: LABEL_OPTIONAL
    type_name: ".grpc.reflection.v1.ListServiceResponse" }
  field { name: "error_response" number: 7 type: TYPE_MESSAGE label: LABEL_OPTIONAL
    type_name: ".grpc.reflection.v1.ErrorResponse" } }
message_type { name: "FileDescriptorResponse"
  field { name: "file_descriptor_proto" number: 1 type: TYPE_BYTES label: LABEL_REPEATED } }
message_type { name: "ListServiceResponse"
  field { name: "service" number: 1 type: TYPE_MESSAGE label: LABEL_REPEATED
    type_name: ".grpc.reflection.v1.ServiceResponse" } }
message_type { name: "ServiceResponse"
  field { name: "name" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL } }
message_type { name: "ErrorResponse"
  field { name: "error_code" number: 1 type: TYPE_INT32 label: LABEL_OPTIONAL }
  field { name: "error_message" number: 2 type: TYPE_STRING label: LABEL_OPTIONAL } }
"""


def _class_of(descriptor):
    """protobuf 4.22 and later have a function for it, the ones before a factory."""
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory().GetPrototype(descriptor)


class Reflection:
    """What a server says of itself; files are asked for once."""

    def __init__(self, channel):
        own = descriptor_pool.DescriptorPool()
        own.Add(text_format.Parse(_REFLECTION, descriptor_pb2.FileDescriptorProto()))
        prefix = "grpc.reflection.v1.ServerReflection"
        self._request = _class_of(own.FindMessageTypeByName(f"{prefix}Request"))
        self._ask = channel.stream_stream(
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            request_serializer=self._request.SerializeToString,
            response_deserializer=_class_of(own.FindMessageTypeByName(f"{prefix}Response")).FromString,
        )
        self.pool = descriptor_pool.DescriptorPool()
        self._added = set()

    def services(self):
        # Any text: an empty one would not be sent.
        return sorted(service.name for service in self._answer(list_services="*").list_services_response.service)

    def service(self, name):
        self._add(self._answer(file_containing_symbol=name))
        return self.pool.FindServiceByName(name)

    def _answer(self, **question):
        answer = next(self._ask(iter([self._request(**question)]), timeout=10))
        if answer.HasField("error_response"):
            raise LookupError(answer.error_response.error_message)
        return answer

    def _add(self, answer):
        files = {}
        for encoded in answer.file_descriptor_response.file_descriptor_proto:
            file = descriptor_pb2.FileDescriptorProto.FromString(encoded)
            files[file.name] = file
        for file in files.values():
            self._add_file(file, files)

    def _add_file(self, file, others):
        """What it imports first."""
        if file.name in self._added:
            return
        self._added.add(file.name)
        for name in file.dependency:
            if name in others:
                self._add_file(others[name], others)
            elif name not in self._added:
                self._add(self._answer(file_by_filename=name))
        self.pool.Add(file)


def describe(service):
    methods = descriptor_pb2.ServiceDescriptorProto()
    service.CopyToProto(methods)
    for method in methods.method:
        takes = ("stream " if method.client_streaming else "") + method.input_type[1:]
        gives = ("stream " if method.server_streaming else "") + method.output_type[1:]
        yield f"{method.name}({takes}) -> {gives}"


def call(channel, reflection, path, lines):
    """On the wire a single message is a stream of one, so one kind of call does for all four."""
    service, _, name = path.partition("/")
    method = reflection.service(service).methods_by_name[name]
    requests = (json_format.Parse(line, _class_of(method.input_type)(), descriptor_pool=reflection.pool) for line in lines)
    answers = channel.stream_stream(
        f"/{path}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=_class_of(method.output_type).FromString,
    )(requests)
    for answer in answers:
        yield json_format.MessageToDict(answer, descriptor_pool=reflection.pool)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("server", help="host:port")
    parser.add_argument("action", choices=["list", "describe", "call"])
    parser.add_argument("name", nargs="?", help="of a service; for a call: service/method")
    parser.add_argument("--ca", type=Path, help="PEM of the authority that signed the server's certificate")
    parser.add_argument("--key-file", type=Path, help="a key that is sent as a bearer token")
    options = parser.parse_args()
    if options.action != "list" and options.name is None:
        parser.error("name a service, or service/method")
    with open_channel(options) as channel:
        reflection = Reflection(channel)
        try:
            if options.action == "list":
                print("\n".join(reflection.services()))
            elif options.action == "describe":
                print("\n".join(describe(reflection.service(options.name))))
            else:
                for answer in call(channel, reflection, options.name, sys.stdin):
                    print(json.dumps(answer))
        except grpc.RpcError as error:
            print(f"{error.code().name}: {error.details()}", file=sys.stderr)
            sys.exit(1)


def open_channel(options):
    limits = [("grpc.max_receive_message_length", 32 * 1024 * 1024)]
    if options.ca is None:
        return grpc.insecure_channel(options.server, limits)
    credentials = grpc.ssl_channel_credentials(root_certificates=options.ca.read_bytes())
    if options.key_file is not None:
        key = grpc.access_token_call_credentials(options.key_file.read_text().strip())
        credentials = grpc.composite_channel_credentials(credentials, key)
    return grpc.secure_channel(options.server, credentials, limits)


if __name__ == "__main__":
    main()
