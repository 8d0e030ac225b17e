#!/bin/sh
# Messages and stubs of harmonid's contract for Python, into the folder that is named.
#   apt-get install python3-grpcio python3-protobuf protobuf-compiler protobuf-compiler-grpc libprotobuf-dev
set -eu
proto="$(dirname "$0")/../../proto"
mkdir -p "$1"
protoc -I "$proto" --python_out="$1" --grpc_python_out="$1" \
  --plugin=protoc-gen-grpc_python="$(command -v grpc_python_plugin)" \
  google/rpc/status.proto google/rpc/error_details.proto \
  harmonid/v1/common.proto harmonid/v1/identity.proto
