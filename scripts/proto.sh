#!/usr/bin/env bash
# proto.sh — lints the API and generates its Go code, with the pinned tools of scripts/proto.mod. It asks no schema registry: the
# one import that is not Google's own, buf/validate, comes from its Go module.
set -euo pipefail
cd "$(dirname "$0")/.."

validate=github.com/bufbuild/protovalidate@v1.2.2

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir -p "$work/bin" "$work/validate" "$work/out"
go build -modfile=scripts/proto.mod -o "$work/bin/" github.com/bufbuild/buf/cmd/buf \
	google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc
from=$(cd "$work" && go mod download -json "$validate" | sed -n 's/^\t*"Dir": "\(.*\)",$/\1/p')
cp -r "$from/proto/protovalidate/buf" "$work/validate/"
mkdir -p "$work/proto/vqs/v1"
cp proto/vqs/v1/*.proto "$work/proto/vqs/v1/"
cat >"$work/buf.yaml" <<'YAML'
version: v2
modules:
  - path: proto
  - path: validate
lint:
  use: [STANDARD, COMMENTS]
  ignore: [validate]
YAML
cat >"$work/buf.gen.yaml" <<'YAML'
version: v2
plugins:
  - local: protoc-gen-go
    out: out
    opt: paths=source_relative
  - local: protoc-gen-go-grpc
    out: out
    opt: paths=source_relative
YAML
export PATH=$work/bin:$PATH
cd "$work"
buf format --exit-code --diff proto
buf lint .
buf generate proto
cd - >/dev/null
rm -f proto/vqs/v1/*.pb.go
cp "$work"/out/vqs/v1/*.pb.go proto/vqs/v1/
