#!/bin/bash
# Health check of this container: one HTTP request without a new process, because a health check must not use the CPU
# that is being measured.
set -euo pipefail
exec 3<>"/dev/tcp/127.0.0.1/${HEALTH_PORT:-8100}"
printf 'GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n' "${HEALTH_PATH:-/healthz}" >&3
read -r -t 4 _ status _ <&3
[[ $status == 200 ]]
