/** The distribution's Python, for which its packages of gRPC are; another one may come first in the path. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

export const python = '/usr/bin/python3';

/** Every file that is needed is of one of these packages. */
const needed = 'python3-grpcio python3-protobuf protobuf-compiler protobuf-compiler-grpc libprotobuf-dev';

/** Whether clients in Python can be run here; says so when not. */
export function hasPythonClients(): boolean {
  const generates = ['/usr/bin/protoc', '/usr/bin/grpc_python_plugin', '/usr/include/google/protobuf/any.proto'];
  const has =
    generates.every((file) => existsSync(file)) &&
    spawnSync(python, ['-c', 'import grpc, google.protobuf']).status === 0;
  if (!has) console.warn(`      SKIPPED: clients in Python were not tested, for this machine lacks some of ${needed}`);
  return has;
}
