//! Sampling: whether an exchange is kept, as a pure function of its trace or request id and the rate,
//! so that every proxy, and the shadow of an exchange, decides alike. It does not know what is kept.

/// What an exchange is sampled by: its trace, so that all calls of one trace are kept together, or
/// where there is none its request id. The trace id is the second part of a W3C `traceparent`.
pub fn of<'a>(traceparent: &'a str, request_id: &'a str) -> &'a [u8] {
    let trace = traceparent
        .split('-')
        .nth(1)
        .filter(|trace| trace.len() == 32 && trace.bytes().all(|byte| byte.is_ascii_hexdigit()));
    trace.unwrap_or(request_id).as_bytes()
}

/// Where a request id lies in `[0, 1)`: FNV-1a over its bytes, then the finaliser of SplitMix64
/// (Steele, Lea, Flood 2014), because FNV alone leaves the high bits of short ids alike.
pub fn share(request_id: &[u8]) -> f64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for &byte in request_id {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^= hash >> 31;
    // 53 bits are what a double holds exactly.
    #[allow(clippy::cast_precision_loss)]
    let share = (hash >> 11) as f64 / (1_u64 << 53) as f64;
    share
}

/// Whether an exchange with this id is kept at this rate. A rate of 1 keeps all, 0 or NaN none.
pub fn keeps(request_id: &[u8], rate: f64) -> bool {
    share(request_id) < rate
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept_of_10_000(rate: f64) -> usize {
        (0..10_000_u32).filter(|n| keeps(format!("req-{n}").as_bytes(), rate)).count()
    }

    #[test]
    fn a_trace_is_kept_or_not_as_a_whole() {
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let traceparent = format!("00-{trace}-b7ad6b7169203331-01");
        assert_eq!(of(&traceparent, "a"), trace.as_bytes());
        for none in ["", "00-xyz-b7ad6b7169203331-01", "00"] {
            assert_eq!(of(none, "a"), b"a");
        }
    }

    #[test]
    fn a_tenth_is_kept_at_a_rate_of_a_tenth() {
        // Four standard deviations of a binomial: sqrt(10000 * .1 * .9) = 30.
        let kept = kept_of_10_000(0.1);
        assert!((880..=1120).contains(&kept), "{kept}");
    }

    #[test]
    fn the_ends_of_the_scale_keep_all_and_none() {
        assert_eq!(kept_of_10_000(1.0), 10_000);
        assert_eq!(kept_of_10_000(0.0), 0);
        assert_eq!(kept_of_10_000(f64::NAN), 0);
    }

    #[test]
    fn what_a_lower_rate_keeps_a_higher_rate_keeps_too() {
        for n in 0..1000_u32 {
            let id = n.to_string();
            assert!(!keeps(id.as_bytes(), 0.2) || keeps(id.as_bytes(), 0.7));
        }
    }
}
