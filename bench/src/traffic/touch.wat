;; The least that a filter must do which looks at bodies: it takes heads, bodies, the version and
;; the time out of Envoy, as ours does of a good request, and does nothing with them.
(module
  (import "env" "proxy_get_header_map_pairs"
    (func $pairs (param i32 i32 i32) (result i32)))
  (import "env" "proxy_get_buffer_bytes"
    (func $bytes (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_property"
    (func $property (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_current_time_nanoseconds"
    (func $now (param i32) (result i32)))
  (memory (export "memory") 32)
  ;; Where the host writes where it wrote; then a property's path.
  (data (i32.const 64) "xds\00cluster_name")
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "_initialize"))
  ;; Whatever is handed over is handed over in one place, which holds a whole piece.
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 65536))
  (func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 1))
  (func (export "proxy_on_configure") (param i32 i32) (result i32) (i32.const 1))
  (func (export "proxy_on_context_create") (param i32 i32))
  ;; A body in pieces of 256 KiB.
  (func $body (param $which i32) (param $length i32)
    (local $at i32)
    (loop $next
      (if (i32.lt_u (local.get $at) (local.get $length))
        (then
          (drop (call $bytes
            (local.get $which) (local.get $at) (i32.const 262144) (i32.const 0) (i32.const 4)))
          (local.set $at (i32.add (local.get $at) (i32.const 262144)))
          (br $next)))))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (drop (call $pairs (i32.const 0) (i32.const 0) (i32.const 4)))
    (drop (call $now (i32.const 8)))
    (i32.const 0))
  (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
    (call $body (i32.const 0) (local.get 1))
    (i32.const 0))
  (func (export "proxy_on_request_trailers") (param i32 i32) (result i32) (i32.const 0))
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
    (drop (call $pairs (i32.const 2) (i32.const 0) (i32.const 4)))
    (i32.const 0))
  (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32)
    (call $body (i32.const 1) (local.get 1))
    (i32.const 0))
  (func (export "proxy_on_response_trailers") (param i32 i32) (result i32) (i32.const 0))
  (func (export "proxy_on_done") (param i32) (result i32)
    (drop (call $property (i32.const 64) (i32.const 16) (i32.const 0) (i32.const 4)))
    (drop (call $now (i32.const 8)))
    (i32.const 1))
  (func (export "proxy_on_delete") (param i32)))
