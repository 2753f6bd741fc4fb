//! The host: the only file that names the proxy-wasm ABI (0.2.1), both what the host offers and
//! what it calls. Bytes in, `Result` out; no status, no id and no byte that it hands over can
//! panic. It deliberately does not know models.
//!
//! The ABI stands here instead of the `proxy-wasm` crate because that crate panics where it must
//! not: see ARCHITECTURE.md, "Why the filter speaks the ABI itself".

use std::alloc::{Layout, alloc};
use std::time::Duration;

use crate::pairs;
use crate::shell;

/// Whatever the host answered other than yes: its status, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused(pub u32);

/// A header map of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Map {
    RequestHeaders = 0,
    ResponseHeaders = 2,
}

/// A buffer of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    Request = 0,
    Response = 1,
    GrpcAnswer = 5,
    Configuration = 7,
}

/// What becomes of what just came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Continue = 0,
    Pause = 1,
}

/// How grave a line of the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Warn = 3,
    Error = 4,
}

const COUNTER: u32 = 0;
const HTTP_REQUEST: u32 = 0;

// The statuses are plain numbers on purpose: a Rust enum with a value it does not name is
// undefined behaviour, and hosts do answer with statuses that the ABI's document does not list.
#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, text: *const u8, length: usize) -> u32;
    fn proxy_get_current_time_nanoseconds(now: *mut u64) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        most: usize,
        data: *mut *mut u8,
        length: *mut usize,
    ) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, length: *mut usize) -> u32;
    fn proxy_get_header_map_value(
        map: u32,
        name: *const u8,
        name_length: usize,
        data: *mut *mut u8,
        length: *mut usize,
    ) -> u32;
    fn proxy_add_header_map_value(
        map: u32,
        name: *const u8,
        name_length: usize,
        value: *const u8,
        value_length: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_length: usize) -> u32;
    fn proxy_get_property(
        path: *const u8,
        path_length: usize,
        data: *mut *mut u8,
        length: *mut usize,
    ) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_length: usize,
        body: *const u8,
        body_length: usize,
        headers: *const u8,
        headers_length: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_grpc_call(
        upstream: *const u8,
        upstream_length: usize,
        service: *const u8,
        service_length: usize,
        method: *const u8,
        method_length: usize,
        metadata: *const u8,
        metadata_length: usize,
        message: *const u8,
        message_length: usize,
        timeout_milliseconds: u32,
        token: *mut u32,
    ) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, length: usize, id: *mut u32) -> u32;
    fn proxy_increment_metric(id: u32, offset: i64) -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
    fn proxy_continue_stream(stream: u32) -> u32;
    fn proxy_done() -> u32;
}

fn done(status: u32) -> Result<(), Refused> {
    if status == 0 { Ok(()) } else { Err(Refused(status)) }
}

/// Calls what hands over bytes, and takes ownership of them.
fn bytes(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Result<Vec<u8>, Refused> {
    let mut data = std::ptr::null_mut();
    let mut length = 0;
    done(call(&raw mut data, &raw mut length))?;
    if data.is_null() || length == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: the host got this memory from `proxy_on_memory_allocate`, which allocates exactly
    // `length` bytes with the global allocator and alignment 1, filled it, and forgot it.
    Ok(unsafe { Vec::from_raw_parts(data, length, length) })
}

/// Writes a line into the host's log.
pub fn log(level: Level, text: &str) {
    // SAFETY: the pointer and length are those of a live slice. A log that fails has no cure.
    let _ = unsafe { proxy_log(level as u32, text.as_ptr(), text.len()) };
}

/// Nanoseconds since the epoch; 0 where the host does not say.
pub fn now_nanos() -> u64 {
    let mut now = 0;
    // SAFETY: the pointer is to a live `u64`.
    let _ = unsafe { proxy_get_current_time_nanoseconds(&raw mut now) };
    now
}

/// Asks for a tick every `period`, for the root context that asks.
pub fn tick_every(period: Duration) -> Result<(), Refused> {
    let period = u32::try_from(period.as_millis()).unwrap_or(u32::MAX);
    // SAFETY: plain numbers.
    done(unsafe { proxy_set_tick_period_milliseconds(period) })
}

/// Bytes of a body or configuration.
pub fn body(body: Body, start: usize, most: usize) -> Result<Vec<u8>, Refused> {
    // SAFETY: `bytes` hands in pointers to live variables.
    bytes(|data, length| unsafe { proxy_get_buffer_bytes(body as u32, start, most, data, length) })
}

/// All headers, in the layout that [`pairs::read`] reads.
pub fn headers(map: Map) -> Result<Vec<u8>, Refused> {
    // SAFETY: `bytes` hands in pointers to live variables.
    bytes(|data, length| unsafe { proxy_get_header_map_pairs(map as u32, data, length) })
}

/// The value of one header; empty where it is not there.
pub fn header(map: Map, name: &str) -> Result<Vec<u8>, Refused> {
    // SAFETY: the slice lives through the call, and `bytes` hands in pointers to live variables.
    bytes(|data, length| unsafe {
        proxy_get_header_map_value(map as u32, name.as_ptr(), name.len(), data, length)
    })
}

/// Adds a header.
pub fn add_header(map: Map, name: &str, value: &str) -> Result<(), Refused> {
    // SAFETY: the pointers and lengths are those of live slices.
    done(unsafe {
        proxy_add_header_map_value(
            map as u32,
            name.as_ptr(),
            name.len(),
            value.as_ptr(),
            value.len(),
        )
    })
}

/// Removes every header of a name.
pub fn remove_header(map: Map, name: &str) -> Result<(), Refused> {
    // SAFETY: the pointer and length are those of a live slice.
    done(unsafe { proxy_remove_header_map_value(map as u32, name.as_ptr(), name.len()) })
}

/// A property of the stream or of Envoy.
pub fn property(path: &[&str]) -> Result<Vec<u8>, Refused> {
    let path = path.join("\0");
    // SAFETY: the slice lives through the call, and `bytes` hands in pointers to live variables.
    bytes(|data, length| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, length) })
}

/// Answers the request in the upstream's place.
pub fn answer(
    status: u16,
    details: &str,
    headers: &[(&str, &str)],
    body: &[u8],
    grpc: Option<i32>,
) -> Result<(), Refused> {
    let headers = pairs::write(headers);
    // SAFETY: the pointers and lengths are those of live slices.
    done(unsafe {
        proxy_send_local_response(
            u32::from(status),
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            grpc.unwrap_or(-1),
        )
    })
}

/// Lets a request go on that was paused; callable from anywhere.
pub fn continue_request(context: u32) -> Result<(), Refused> {
    // SAFETY: plain numbers.
    done(unsafe { proxy_set_effective_context(context) })?;
    // SAFETY: plain numbers.
    done(unsafe { proxy_continue_stream(HTTP_REQUEST) })
}

/// Sends one unary gRPC message to a cluster, and gives the token of its answer.
pub fn grpc_call(
    cluster: &str,
    service: &str,
    method: &str,
    message: &[u8],
    timeout_milliseconds: u32,
) -> Result<u32, Refused> {
    let upstream = grpc_service(cluster);
    let metadata = pairs::write(&[]);
    let mut token = 0;
    // SAFETY: the pointers and lengths are those of live slices, and of a live `u32`.
    done(unsafe {
        proxy_grpc_call(
            upstream.as_ptr(),
            upstream.len(),
            service.as_ptr(),
            service.len(),
            method.as_ptr(),
            method.len(),
            metadata.as_ptr(),
            metadata.len(),
            message.as_ptr(),
            message.len(),
            timeout_milliseconds,
            &raw mut token,
        )
    })?;
    Ok(token)
}

/// `envoy.config.core.v3.GrpcService { envoy_grpc { cluster_name } }`: field 1 within field 1.
fn grpc_service(cluster: &str) -> Vec<u8> {
    let mut inner = vec![0x0a];
    prost::encoding::encode_varint(cluster.len() as u64, &mut inner);
    inner.extend(cluster.bytes());
    let mut outer = vec![0x0a];
    prost::encoding::encode_varint(inner.len() as u64, &mut outer);
    outer.extend(inner);
    outer
}

/// Defines a counter.
pub fn counter(name: &str) -> Result<u32, Refused> {
    let mut id = 0;
    // SAFETY: the pointer and length are those of a live slice, and of a live `u32`.
    done(unsafe { proxy_define_metric(COUNTER, name.as_ptr(), name.len(), &raw mut id) })?;
    Ok(id)
}

/// Adds to a counter.
pub fn count(id: u32, more: u64) {
    let more = i64::try_from(more).unwrap_or(i64::MAX);
    // SAFETY: plain numbers. A counter that is gone has no cure.
    let _ = unsafe { proxy_increment_metric(id, more) };
}

/// Says that a root context which asked for time to finish now has.
pub fn finished() {
    // SAFETY: takes nothing.
    let _ = unsafe { proxy_done() };
}

// What the host calls.

#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

unsafe extern "C" {
    fn __wasm_call_ctors();
}

/// Without a caller of its own the linker would run the constructors around every export.
#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    // SAFETY: the host calls this once, before everything else.
    unsafe { __wasm_call_ctors() };
}

/// Memory for what the host hands over; null makes the host's call fail, not the VM.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(length: usize) -> *mut u8 {
    match Layout::array::<u8>(length) {
        // SAFETY: the layout is not empty.
        Ok(layout) if length > 0 => unsafe { alloc(layout) },
        _ => std::ptr::null_mut(),
    }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_vm_start(_root: u32, _length: usize) -> u32 {
    1
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(context: u32, root: u32) {
    if root == 0 {
        shell::root_created(context);
    } else {
        shell::stream_created(context, root);
    }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(root: u32, length: usize) -> u32 {
    u32::from(shell::configure(root, length))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_tick(root: u32) {
    shell::tick(root);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(context: u32, _count: usize, ended: u32) -> u32 {
    shell::request_headers(context, ended != 0) as u32
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_body(context: u32, length: usize, ended: u32) -> u32 {
    shell::request_body(context, length, ended != 0) as u32
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_trailers(context: u32, _count: usize) -> u32 {
    shell::request_body(context, 0, true) as u32
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_headers(context: u32, _count: usize, ended: u32) -> u32 {
    shell::response_headers(context, ended != 0);
    Action::Continue as u32
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_body(context: u32, length: usize, ended: u32) -> u32 {
    shell::response_body(context, length, ended != 0);
    Action::Continue as u32
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_trailers(context: u32, _count: usize) -> u32 {
    shell::response_body(context, 0, true);
    Action::Continue as u32
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_done(context: u32) -> u32 {
    u32::from(shell::may_go(context))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(context: u32) {
    shell::deleted(context);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_grpc_receive(root: u32, token: u32, length: usize) {
    shell::landed(root, token, Some(length));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_grpc_close(root: u32, token: u32, status: u32) {
    shell::landed(root, token, (status == 0).then_some(0));
}
