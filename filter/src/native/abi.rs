//! The ABI of Envoy's dynamic modules (`v0.2.0`, Envoy 1.40), both what Envoy offers and what it
//! calls: those functions alone that are used here, and those without which Envoy refuses a module.
//! Bytes in, `Option` or `Result` out. A panic never crosses it: what was being asked passes
//! instead. It deliberately does not know models.

use std::ffi::{CStr, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use super::shell::{self, Config, Filter};

/// The version whose declarations stand below. Envoy takes modules of the version before its own.
const VERSION: &CStr = c"v0.2.0";

/// A stretch of bytes, of ours or of Envoy's.
#[repr(C)]
#[derive(Clone, Copy)]
struct Span {
    data: *const u8,
    length: usize,
}

/// A header, of ours or of Envoy's.
#[repr(C)]
#[derive(Clone, Copy)]
struct Pair {
    name: Span,
    value: Span,
}

impl Span {
    const NONE: Self = Self { data: ptr::null(), length: 0 };

    fn of(bytes: &[u8]) -> Self {
        Self { data: bytes.as_ptr(), length: bytes.len() }
    }

    /// # Safety
    /// The bytes must live for `'a` and not change.
    unsafe fn read<'a>(self) -> &'a [u8] {
        if self.data.is_null() || self.length == 0 {
            return &[];
        }
        // SAFETY: not null, and the caller answers for the rest.
        unsafe { std::slice::from_raw_parts(self.data, self.length) }
    }
}

/// A list that Envoy hands over.
///
/// # Safety
/// The list must live for `'a` and not change.
unsafe fn list<'a, T>(data: *const T, length: usize) -> &'a [T] {
    if data.is_null() || length == 0 {
        return &[];
    }
    // SAFETY: not null, and the caller answers for the rest.
    unsafe { std::slice::from_raw_parts(data, length) }
}

// Numbers of Envoy's enumerations, which are plain numbers here: a Rust enum with a value that it
// does not name is undefined behaviour.
const CODE_DETAILS: u32 = 16;
const SOURCE_ADDRESS: u32 = 24;
const ROUTE_NAME: u32 = 61;
const SUCCESS: u32 = 0;

// What Envoy offers.
unsafe extern "C" {
    fn envoy_dynamic_module_callback_log(level: u32, text: Span);
    fn envoy_dynamic_module_callback_http_get_headers_size(stream: *mut c_void, map: u32) -> usize;
    fn envoy_dynamic_module_callback_http_get_headers(
        stream: *mut c_void,
        map: u32,
        headers: *mut Pair,
    ) -> bool;
    fn envoy_dynamic_module_callback_http_add_header(
        stream: *mut c_void,
        map: u32,
        name: Span,
        value: Span,
    ) -> bool;
    fn envoy_dynamic_module_callback_http_set_header(
        stream: *mut c_void,
        map: u32,
        name: Span,
        value: Span,
    ) -> bool;
    fn envoy_dynamic_module_callback_http_send_response(
        stream: *mut c_void,
        status: u32,
        headers: *mut Pair,
        count: usize,
        body: Span,
        details: Span,
    );
    fn envoy_dynamic_module_callback_http_get_body_chunks_size(
        stream: *mut c_void,
        body: u32,
    ) -> usize;
    fn envoy_dynamic_module_callback_http_get_body_chunks(
        stream: *mut c_void,
        body: u32,
        chunks: *mut Span,
    ) -> bool;
    fn envoy_dynamic_module_callback_http_filter_get_attribute_string(
        stream: *mut c_void,
        attribute: u32,
        value: *mut Span,
    ) -> bool;
    fn envoy_dynamic_module_callback_http_get_cluster_name(
        stream: *mut c_void,
        name: *mut Span,
    ) -> bool;
    fn envoy_dynamic_module_callback_http_clear_route_cache(stream: *mut c_void);
    fn envoy_dynamic_module_callback_http_filter_continue_decoding(stream: *mut c_void);
    fn envoy_dynamic_module_callback_http_filter_scheduler_new(stream: *mut c_void) -> *mut c_void;
    fn envoy_dynamic_module_callback_http_filter_scheduler_commit(
        scheduler: *mut c_void,
        event: u64,
    );
    fn envoy_dynamic_module_callback_http_filter_scheduler_delete(scheduler: *mut c_void);
    fn envoy_dynamic_module_callback_http_filter_config_scheduler_new(
        config: *mut c_void,
    ) -> *mut c_void;
    fn envoy_dynamic_module_callback_http_filter_config_scheduler_commit(
        scheduler: *mut c_void,
        event: u64,
    );
    fn envoy_dynamic_module_callback_http_filter_config_scheduler_delete(scheduler: *mut c_void);
    fn envoy_dynamic_module_callback_http_filter_config_define_counter(
        config: *mut c_void,
        name: Span,
        labels: *mut Span,
        label_count: usize,
        id: *mut usize,
    ) -> u32;
    fn envoy_dynamic_module_callback_http_filter_config_increment_counter(
        config: *mut c_void,
        id: usize,
        labels: *mut Span,
        label_count: usize,
        more: u64,
    ) -> u32;
    fn envoy_dynamic_module_callback_http_filter_config_http_callout(
        config: *mut c_void,
        id: *mut u64,
        cluster: Span,
        headers: *mut Pair,
        count: usize,
        body: Span,
        timeout_milliseconds: u64,
    ) -> u32;
}

/// Whatever Envoy answered other than yes: its number, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refused(pub(super) u32);

/// A header map of Envoy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Map {
    Request = 0,
    Response = 2,
}

/// A body of Envoy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// What just came of the request.
    Request = 0,
    /// What is held of the request.
    HeldRequest = 1,
    /// What just came of the response.
    Response = 2,
}

/// How grave a line of the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Warn = 3,
    Error = 4,
}

/// What becomes of what just came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// It goes on.
    Continue,
    /// It waits where Envoy holds it.
    Hold,
    /// It goes no further, and nobody needs it.
    Stop,
}

impl Action {
    fn of_head(self) -> u32 {
        u32::from(self != Self::Continue)
    }

    fn of_body(self) -> u32 {
        match self {
            Self::Continue => 0,
            Self::Hold => 1,
            Self::Stop => 3,
        }
    }
}

/// Writes a line into Envoy's log.
pub(super) fn log(level: Level, text: &str) {
    // SAFETY: the span is that of a live slice.
    unsafe { envoy_dynamic_module_callback_log(level as u32, Span::of(text.as_bytes())) };
}

/// A stream, for as long as one of its hooks runs. What is read of it lives until something of it
/// is changed, which the borrows hold.
pub(super) struct Stream(*mut c_void);

impl Stream {
    /// All headers of a map.
    pub(super) fn headers(&self, map: Map) -> Vec<(&[u8], &[u8])> {
        // SAFETY: the pointer is Envoy's own.
        let count =
            unsafe { envoy_dynamic_module_callback_http_get_headers_size(self.0, map as u32) };
        let mut headers = vec![Pair { name: Span::NONE, value: Span::NONE }; count];
        // SAFETY: there is room for as many as Envoy said.
        let there = unsafe {
            envoy_dynamic_module_callback_http_get_headers(self.0, map as u32, headers.as_mut_ptr())
        };
        if !there {
            return Vec::new();
        }
        // SAFETY: they live until the hook ends or one is set, which takes `&mut self`.
        headers.iter().map(|pair| unsafe { (pair.name.read(), pair.value.read()) }).collect()
    }

    /// Adds a header; false where Envoy does not take it.
    pub(super) fn add_header(&mut self, map: Map, name: &str, value: &str) -> bool {
        let (name, value) = (Span::of(name.as_bytes()), Span::of(value.as_bytes()));
        // SAFETY: the spans are those of live slices.
        unsafe { envoy_dynamic_module_callback_http_add_header(self.0, map as u32, name, value) }
    }

    /// Removes every header of a name.
    pub(super) fn remove_header(&mut self, map: Map, name: &str) {
        let name = Span::of(name.as_bytes());
        // SAFETY: the span is that of a live slice; without a value the header is removed.
        let _ = unsafe {
            envoy_dynamic_module_callback_http_set_header(self.0, map as u32, name, Span::NONE)
        };
    }

    /// The pieces of a body, where Envoy holds them.
    pub(super) fn pieces(&self, body: Body) -> Vec<&[u8]> {
        // SAFETY: the pointer is Envoy's own.
        let count =
            unsafe { envoy_dynamic_module_callback_http_get_body_chunks_size(self.0, body as u32) };
        let mut pieces = vec![Span::NONE; count];
        // SAFETY: there is room for as many as Envoy said.
        let there = count > 0
            && unsafe {
                envoy_dynamic_module_callback_http_get_body_chunks(
                    self.0,
                    body as u32,
                    pieces.as_mut_ptr(),
                )
            };
        if !there {
            return Vec::new();
        }
        // SAFETY: they live until the hook ends; nothing here changes a body.
        pieces.iter().map(|piece| unsafe { piece.read() }).collect()
    }

    /// The name of the route.
    pub(super) fn route_name(&self) -> Option<&[u8]> {
        self.attribute(ROUTE_NAME)
    }

    /// The client's address and port.
    pub(super) fn source_address(&self) -> Option<&[u8]> {
        self.attribute(SOURCE_ADDRESS)
    }

    /// Why the response is what it is.
    pub(super) fn code_details(&self) -> Option<&[u8]> {
        self.attribute(CODE_DETAILS)
    }

    fn attribute(&self, attribute: u32) -> Option<&[u8]> {
        let mut value = Span::NONE;
        // SAFETY: the pointer is to a live span; what it names lives until the hook ends.
        unsafe {
            envoy_dynamic_module_callback_http_filter_get_attribute_string(
                self.0,
                attribute,
                &raw mut value,
            )
            .then(|| value.read())
        }
    }

    /// The cluster that the route chose.
    pub(super) fn cluster(&self) -> Option<&[u8]> {
        let mut name = Span::NONE;
        // SAFETY: the pointer is to a live span; what it names lives until the hook ends.
        unsafe {
            envoy_dynamic_module_callback_http_get_cluster_name(self.0, &raw mut name)
                .then(|| name.read())
        }
    }

    /// Answers the request in the upstream's place.
    pub(super) fn answer(
        &mut self,
        status: u16,
        details: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) {
        let mut headers = pairs(headers);
        // SAFETY: the spans are those of live slices.
        unsafe {
            envoy_dynamic_module_callback_http_send_response(
                self.0,
                u32::from(status),
                headers.as_mut_ptr(),
                headers.len(),
                Span::of(body),
                Span::of(details.as_bytes()),
            );
        };
    }

    /// Lets Envoy look for the route again, because a header changed.
    pub(super) fn choose_route_again(&mut self) {
        // SAFETY: the pointer is Envoy's own.
        unsafe { envoy_dynamic_module_callback_http_clear_route_cache(self.0) };
    }

    /// Lets a request go on that was held.
    pub(super) fn continue_request(&mut self) {
        // SAFETY: the pointer is Envoy's own.
        unsafe { envoy_dynamic_module_callback_http_filter_continue_decoding(self.0) };
    }

    /// What calls [`shell::called`] for this stream, from any thread.
    pub(super) fn caller(&self) -> Caller {
        // SAFETY: the pointer is Envoy's own.
        Caller(unsafe { envoy_dynamic_module_callback_http_filter_scheduler_new(self.0) })
    }
}

fn pairs(headers: &[(&str, &str)]) -> Vec<Pair> {
    let pair = |(name, value): &(&str, &str)| Pair {
        name: Span::of(name.as_bytes()),
        value: Span::of(value.as_bytes()),
    };
    headers.iter().map(pair).collect()
}

/// Calls a stream back on its own worker; a stream that is over is not called.
#[derive(Debug)]
pub(super) struct Caller(*mut c_void);

// SAFETY: Envoy's scheduler may be used from any thread.
unsafe impl Send for Caller {}

impl Caller {
    pub(super) fn call(&self) {
        // SAFETY: the scheduler lives until it is dropped.
        unsafe { envoy_dynamic_module_callback_http_filter_scheduler_commit(self.0, 0) };
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        // SAFETY: it is deleted once.
        unsafe { envoy_dynamic_module_callback_http_filter_scheduler_delete(self.0) };
    }
}

/// Calls a configuration back on Envoy's main thread.
#[derive(Debug)]
pub(super) struct Bell(*mut c_void);

// SAFETY: Envoy's scheduler may be used from any thread.
unsafe impl Send for Bell {}

impl Bell {
    pub(super) fn ring(&self) {
        // SAFETY: the scheduler lives until it is dropped.
        unsafe { envoy_dynamic_module_callback_http_filter_config_scheduler_commit(self.0, 0) };
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        // SAFETY: it is deleted once.
        unsafe { envoy_dynamic_module_callback_http_filter_config_scheduler_delete(self.0) };
    }
}

/// Envoy's side of a configuration, on the main thread, for as long as one of its hooks runs.
pub(super) struct Root(*mut c_void);

impl Root {
    /// Defines a counter, while the configuration is made.
    pub(super) fn counter(&mut self, name: &str) -> Result<usize, Refused> {
        let mut id = 0;
        // SAFETY: the span is that of a live slice, the pointer to a live number.
        let status = unsafe {
            envoy_dynamic_module_callback_http_filter_config_define_counter(
                self.0,
                Span::of(name.as_bytes()),
                ptr::null_mut(),
                0,
                &raw mut id,
            )
        };
        if status == SUCCESS { Ok(id) } else { Err(Refused(status)) }
    }

    /// Adds to a counter.
    pub(super) fn count(&mut self, id: usize, more: u64) {
        // SAFETY: plain numbers. A counter that is gone has no cure.
        let _ = unsafe {
            envoy_dynamic_module_callback_http_filter_config_increment_counter(
                self.0,
                id,
                ptr::null_mut(),
                0,
                more,
            )
        };
    }

    /// What rings on the main thread, from any thread.
    pub(super) fn bell(&mut self) -> Bell {
        // SAFETY: the pointer is Envoy's own.
        Bell(unsafe { envoy_dynamic_module_callback_http_filter_config_scheduler_new(self.0) })
    }

    /// Sends an HTTP request to a cluster, and gives the number of its answer.
    pub(super) fn send(
        &mut self,
        cluster: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        timeout_milliseconds: u32,
    ) -> Result<u64, Refused> {
        let mut headers = pairs(headers);
        let mut id = 0;
        // SAFETY: the spans are those of live slices, the pointer is to a live number.
        let status = unsafe {
            envoy_dynamic_module_callback_http_filter_config_http_callout(
                self.0,
                &raw mut id,
                Span::of(cluster.as_bytes()),
                headers.as_mut_ptr(),
                headers.len(),
                Span::of(body),
                u64::from(timeout_milliseconds),
            )
        };
        if status == SUCCESS { Ok(id) } else { Err(Refused(status)) }
    }
}

// What Envoy calls.

/// Runs a hook; where it panics, which nothing is known to do, the other thing happens.
fn safely<T>(otherwise: T, hook: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(hook)).unwrap_or(otherwise)
}

/// # Safety
/// The pointer must be one that `envoy_dynamic_module_on_http_filter_config_new` gave and that was
/// not destroyed yet.
unsafe fn config<'a>(config: *const c_void) -> Option<&'a Config> {
    // SAFETY: as above; a configuration is only shared.
    unsafe { config.cast::<Config>().as_ref() }
}

/// # Safety
/// The pointer must be one that `envoy_dynamic_module_on_http_filter_new` gave and that was not
/// destroyed yet; Envoy runs the hooks of a stream one after the other.
unsafe fn filter<'a>(filter: *const c_void) -> Option<&'a mut Filter> {
    // SAFETY: as above.
    unsafe { filter.cast_mut().cast::<Filter>().as_mut() }
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_program_init() -> *const c_char {
    VERSION.as_ptr()
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_config_new(
    root: *mut c_void,
    _name: Span,
    json: Span,
) -> *const c_void {
    safely(ptr::null(), || {
        // SAFETY: the bytes live until the hook ends.
        let json = unsafe { json.read() };
        match shell::configure(&mut Root(root), json) {
            Some(config) => Box::into_raw(Box::new(config)).cast_const().cast(),
            None => ptr::null(),
        }
    })
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_config_destroy(config: *const c_void) {
    safely((), || {
        if !config.is_null() {
            // SAFETY: it came from `Box::into_raw`, and Envoy destroys it once.
            drop(unsafe { Box::from_raw(config.cast_mut().cast::<Config>()) });
        }
    });
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_config_scheduled(
    root: *mut c_void,
    of: *const c_void,
    _event: u64,
) {
    safely((), || {
        // SAFETY: Envoy calls live configurations.
        if let Some(config) = unsafe { config(of) } {
            config.tick(&mut Root(root));
        }
    });
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_config_http_callout_done(
    _root: *mut c_void,
    of: *const c_void,
    id: u64,
    result: u32,
    headers: *const Pair,
    header_count: usize,
    chunks: *const Span,
    chunk_count: usize,
) {
    safely((), || {
        // SAFETY: Envoy calls live configurations; what it hands over lives until the hook ends.
        let (config, headers, chunks) =
            unsafe { (config(of), list(headers, header_count), list(chunks, chunk_count)) };
        // SAFETY: as above.
        let header = |pair: &Pair| unsafe { (pair.name.read(), pair.value.read()) };
        // SAFETY: as above.
        let chunk = |chunk: &Span| unsafe { chunk.read() };
        if let Some(config) = config {
            let answered = result == SUCCESS;
            config.landed(id, answered, headers.iter().map(header), chunks.iter().map(chunk));
        }
    });
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_new(
    of: *const c_void,
    _stream: *mut c_void,
) -> *const c_void {
    safely(ptr::null(), || {
        // SAFETY: Envoy names live configurations.
        let filter = unsafe { config(of) }.map(Filter::new);
        filter.map_or(ptr::null(), |filter| Box::into_raw(Box::new(filter)).cast_const().cast())
    })
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_destroy(of: *const c_void) {
    safely((), || {
        if !of.is_null() {
            // SAFETY: it came from `Box::into_raw`, and Envoy destroys it once.
            drop(unsafe { Box::from_raw(of.cast_mut().cast::<Filter>()) });
        }
    });
}

/// Runs a hook of a stream.
fn on<T>(
    stream: *mut c_void,
    of: *const c_void,
    otherwise: T,
    hook: impl FnOnce(&mut Filter, &mut Stream) -> T,
) -> T
where
    T: Copy,
{
    safely(otherwise, || {
        // SAFETY: Envoy calls the hooks of live streams, one after the other.
        unsafe { filter(of) }.map_or(otherwise, |filter| hook(filter, &mut Stream(stream)))
    })
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_request_headers(
    stream: *mut c_void,
    of: *const c_void,
    ended: bool,
) -> u32 {
    on(stream, of, Action::Continue, |filter, stream| filter.request_headers(stream, ended))
        .of_head()
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_request_body(
    stream: *mut c_void,
    of: *const c_void,
    ended: bool,
) -> u32 {
    on(stream, of, Action::Continue, |filter, stream| filter.request_body(stream, ended)).of_body()
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_request_trailers(
    stream: *mut c_void,
    of: *const c_void,
) -> u32 {
    on(stream, of, Action::Continue, Filter::request_trailers).of_head()
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_response_headers(
    stream: *mut c_void,
    of: *const c_void,
    ended: bool,
) -> u32 {
    on(stream, of, (), |filter, stream| filter.response_headers(stream, ended));
    Action::Continue.of_head()
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_response_body(
    stream: *mut c_void,
    of: *const c_void,
    ended: bool,
) -> u32 {
    on(stream, of, (), |filter, stream| filter.response_body(stream, ended));
    Action::Continue.of_body()
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_response_trailers(
    stream: *mut c_void,
    of: *const c_void,
) -> u32 {
    on(stream, of, (), |filter, _| filter.response_end());
    Action::Continue.of_head()
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_stream_complete(
    stream: *mut c_void,
    of: *const c_void,
) {
    on(stream, of, (), |filter, stream| filter.end(Some(stream)));
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_scheduled(
    stream: *mut c_void,
    of: *const c_void,
    _event: u64,
) {
    on(stream, of, (), Filter::called);
}

// Envoy refuses a module without these. Streams make no calls of their own here.

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_http_callout_done(
    _stream: *mut c_void,
    _of: *const c_void,
    _id: u64,
    _result: u32,
    _headers: *const c_void,
    _header_count: usize,
    _chunks: *const c_void,
    _chunk_count: usize,
) {
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_http_stream_headers(
    _stream: *mut c_void,
    _of: *const c_void,
    _id: u64,
    _headers: *const c_void,
    _count: usize,
    _ended: bool,
) {
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_http_stream_data(
    _stream: *mut c_void,
    _of: *const c_void,
    _id: u64,
    _chunks: *const c_void,
    _count: usize,
    _ended: bool,
) {
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_http_stream_trailers(
    _stream: *mut c_void,
    _of: *const c_void,
    _id: u64,
    _trailers: *const c_void,
    _count: usize,
) {
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_http_stream_complete(
    _stream: *mut c_void,
    _of: *const c_void,
    _id: u64,
) {
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_http_stream_reset(
    _stream: *mut c_void,
    _of: *const c_void,
    _id: u64,
    _reason: u32,
) {
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_downstream_above_write_buffer_high_watermark(
    _stream: *mut c_void,
    _of: *const c_void,
) {
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_downstream_below_write_buffer_low_watermark(
    _stream: *mut c_void,
    _of: *const c_void,
) {
}
