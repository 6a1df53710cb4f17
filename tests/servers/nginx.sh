#!/bin/bash
# nginx: HTTP/1.1 and HTTP/2, plain and with TLS, and gRPC passed on (Debian: nginx; the certificate by openssl)
# in : NGINX_PORT NGINX_H2_PORT NGINX_TLS_PORT NGINX_TLS1_PORT NGINX_NAME=www.example.test NGINX_REQUESTS=1000 (per connection)
#      NGINX_GRPC_PORT=1 (a server of gRPC on loopback that the health service is passed on to)
#      NGINX_MORE=/dev/null (a file of further servers)
# out: NGINX_PORT (HTTP/1.1) NGINX_H2_PORT (HTTP/2, no TLS) NGINX_TLS_PORT (both) NGINX_TLS1_PORT (HTTP/1.1) NGINX_CERT NGINX_PID
# /healthz: 200 and "state: ok, request N of its connection"; /down: 503; /moved: 302
. "$(dirname "$0")/lib.sh"; rc_init nginx; need nginx openssl curl
NGINX_NAME=${NGINX_NAME:-www.example.test}; NGINX_REQUESTS=${NGINX_REQUESTS:-1000}; NGINX_GRPC_PORT=${NGINX_GRPC_PORT:-1}; NGINX_MORE=${NGINX_MORE:-/dev/null}
port NGINX_PORT NGINX_H2_PORT NGINX_TLS_PORT NGINX_TLS1_PORT; NGINX_CERT=$D/cert.pem
do_start() {
  if ! alive "$D/nginx.pid"; then
    [ -f "$D/cert.pem" ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj "/CN=$NGINX_NAME" \
      -addext "subjectAltName=DNS:$NGINX_NAME" -keyout "$D/key.pem" -out "$D/cert.pem" 2>>"$D/nginx.log"
    # One process in the foreground, of whoever starts it. `listen ... http2` is understood by old and new versions.
    cat >"$D/nginx.conf" <<C
daemon off; master_process off; pid $D/nginx-own.pid; error_log stderr info;
events { worker_connections 256; }
http {
  access_log off; client_body_temp_path $D/t1; proxy_temp_path $D/t2; fastcgi_temp_path $D/t3; uwsgi_temp_path $D/t4; scgi_temp_path $D/t5;
  keepalive_requests $NGINX_REQUESTS;
  server {
    listen 127.0.0.1:$NGINX_PORT;
    listen 127.0.0.1:$NGINX_H2_PORT http2;
    listen 127.0.0.1:$NGINX_TLS_PORT ssl http2;
    ssl_certificate $D/cert.pem; ssl_certificate_key $D/key.pem;
    location = /healthz { default_type text/plain; return 200 "state: ok, request \$connection_requests of its connection\n"; }
    location = /down { return 503; }
    location = /moved { return 302 https://elsewhere.example.test/?token=hush; }
    location /grpc.health.v1.Health/ { grpc_pass grpc://127.0.0.1:$NGINX_GRPC_PORT; }
  }
  server {
    listen 127.0.0.1:$NGINX_TLS1_PORT ssl;
    ssl_certificate $D/cert.pem; ssl_certificate_key $D/key.pem;
    location / { return 204; }
  }
  include $NGINX_MORE;
}
C
    launch nginx nginx -p "$D" -e stderr -c "$D/nginx.conf"
  fi
  wait_for "$RC_READY" nginx curl -sf -o "$D/ready" "http://127.0.0.1:$NGINX_PORT/healthz"
  NGINX_PID=$(pid_of nginx); emit NGINX_PORT NGINX_H2_PORT NGINX_TLS_PORT NGINX_TLS1_PORT NGINX_CERT NGINX_PID
}
do_stop() { stop_pid nginx; }
do_status() { alive "$D/nginx.pid"; }
main "$@"
